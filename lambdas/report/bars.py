"""Memory as bars: one bar of its uses, and a bar for each slab and process. Pure; widths in percent."""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.report.analysis_model import Analysis
from lambdas.report.text import size
from lambdas.runtime.visible_text import clip
from lambdas.triage.model import Triage

_MOST_BARS = 12
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Bar:
    """A named share; `left` is its offset among the segments of one bar."""

    name: str
    size: str
    width: float
    left: float = 0.0


@dataclass(frozen=True)
class Bars:
    """A list of bars; the largest is as wide as the page, and `left_out` smaller ones are not shown."""

    title: str
    bars: tuple[Bar, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Memory:
    """The drawing of the memory; falsy when nothing is known."""

    total: str = ""
    segments: tuple[Bar, ...] = ()
    lists: tuple[Bars, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.segments or self.lists)


def draw_memory(triage: Triage | None, analysis: Analysis) -> Memory:
    """Draws the analysis' figures, and those of the log's Mem-Info where the analysis has none."""
    memory, logged = analysis.memory, triage.memory if triage else None
    total = memory.total_bytes or (logged.total_bytes if logged else None)
    free = memory.free_bytes if memory.free_bytes is not None else (logged.free_bytes if logged else None)
    slabs = [(each.name, each.bytes) for each in memory.slabs]
    processes = [(_process(each.name, each.pid), each.rss_bytes) for each in memory.processes]
    if not processes and logged:
        processes = [(_process(each.name, each.pid), float(each.rss_bytes)) for each in logged.processes]
    uses: list[tuple[str, float | None]] = []
    if logged and not memory.total_bytes:
        uses = [("processes", logged.anonymous_bytes), ("files", logged.file_bytes), ("slabs", logged.slab_bytes)]
    elif slabs:
        uses = [("slabs", sum(given or 0 for _, given in slabs))]
    lists = (_list("By slab cache", slabs), _list("By process, resident", processes))
    return Memory(
        total=size(total) if total else "",
        segments=_segments(total, free, uses) if total else (),
        lists=tuple(each for each in lists if each.bars),
    )


def _segments(total: float, free: float | None, uses: Sequence[tuple[str, float | None]]) -> tuple[Bar, ...]:
    known = [(name, given) for name, given in [*uses, ("free", free)] if given and given > 0]
    rest = total - sum(given for _, given in known)
    if known and rest > total * 0.001:
        known.insert(len(known) - (known[-1][0] == "free"), ("other", rest))
    # Uses can overlap (a page is counted twice), but the segments must fit into the bar.
    whole = max(total, sum(given for _, given in known))
    segments, done = [], 0.0
    for name, given in known:
        segments.append(Bar(name, size(given), _percent(given / whole), _percent(done / whole)))
        done += given
    return tuple(segments)


def _list(title: str, named: Sequence[tuple[str, float | None]]) -> Bars:
    present = sorted(((given, name) for name, given in named if given and given > 0), reverse=True)
    most = present[0][0] if present else 1.0
    shown = present[:_MOST_BARS]
    bars = tuple(Bar(clip(name, _LONGEST_NAME), size(given), _percent(given / most)) for given, name in shown)
    return Bars(title, bars, len(present) - len(shown))


def _process(name: str, pid: int | None) -> str:
    return f"{name} ({pid})" if pid is not None else name


def _percent(share: float) -> float:
    return round(min(1.0, max(0.0, share)) * 100, 3)
