"""Memory as bars: what it was used for as one bar, slabs and processes as a list of them. Pure; widths in percent."""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.report.analysis_model import Analysis
from lambdas.report.text import clip, size
from lambdas.triage.model import Triage

_MOST_BARS = 12
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Bar:
    """A named share; `left` for those that stand in one line."""

    name: str
    size: str
    width: float
    left: float = 0.0


@dataclass(frozen=True)
class Bars:
    """A list of bars, the largest as wide as the page; `left_out` more were smaller."""

    title: str
    bars: tuple[Bar, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Memory:
    """What is known of it; falsy when nothing is."""

    total: str = ""
    segments: tuple[Bar, ...] = ()
    lists: tuple[Bars, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.segments or self.lists)


def draw_memory(triage: Triage | None, analysis: Analysis) -> Memory:
    """From the analysis where it says something, else from the log's Mem-Info."""
    told, seen = analysis.memory, triage.memory if triage else None
    total = told.total_bytes or (seen.total_bytes if seen else None)
    free = told.free_bytes if told.free_bytes is not None else (seen.free_bytes if seen else None)
    slabs = [(each.name, each.bytes) for each in told.slabs]
    processes = [(_process(each.name, each.pid), each.rss_bytes) for each in told.processes]
    if not processes and seen:
        processes = [(_process(each.name, each.pid), float(each.rss_bytes)) for each in seen.processes]
    uses: list[tuple[str, float | None]] = []
    if seen and not told.total_bytes:
        uses = [("processes", seen.anonymous_bytes), ("files", seen.file_bytes), ("slabs", seen.slab_bytes)]
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
    # What overlaps (a page is counted twice) must not leave the picture.
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
