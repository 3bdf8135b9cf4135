"""Reads the reports in a kernel's log: panic, oops, lockup or a task's stack, each with its trace. Pure.

If printk prints caller ids, each caller's lines are read separately: the reports of two CPUs may be interleaved.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lambdas.triage import frames
from lambdas.triage.model import Frame, InstructionPointer, Task
from lambdas.triage.printk import Line
from lambdas.triage.titles import WARNING, Title, read_title

# show_trace prints no more than a stack of 16 KiB holds; a longer one is no trace.
_MOST_FRAMES = 256
# What follows is not the trace of the fault: KASAN tells where the memory came from.
_ENDS = (
    *("---[ end trace", "Allocated by task ", "Freed by task ", "Last potentially related work creation:"),
    # KFENCE's
    *("allocated by task ", "freed by task "),
)


@dataclass(slots=True)
class Report:
    """The lines that one fault printed; they may be incomplete."""

    index: int
    at: float | None
    titles: list[Title] = field(default_factory=list)
    cpu: int | None = None
    task: Task | None = None
    # the state of a task shown with its stack, or ""
    state: str = ""
    taint: str = ""
    release: str = ""
    hardware: str = ""
    frames: list[Frame] = field(default_factory=list)
    # (frames before it, marker)
    markers: list[tuple[int, str]] = field(default_factory=list)
    # (frames before it, pointer): the first belongs to the exception, a later one to the code that was interrupted
    pointers: list[tuple[int, InstructionPointer]] = field(default_factory=list)
    # "---[ end trace": the summary that an oops prints after it repeats its RIP
    is_closed: bool = False

    def has(self, kind: str) -> Title | None:
        """The report's title of that kind."""
        for title in self.titles:
            if title.kind == kind:
                return title
        return None

    @property
    def is_begun(self) -> bool:
        """Whether the report has more than titles."""
        return bool(self.frames or self.pointers or self.task)

    @property
    def is_bad_access(self) -> bool:
        """Whether a checker of the kernel's memory made it: KASAN, KFENCE or KMSAN."""
        return any(title.is_bad_access for title in self.titles)

    @property
    def is_off_cpu(self) -> bool:
        """Whether the task was shown asleep or preempted. The dump of a stalled CPU shows its task in state R."""
        return self.state != "" and (self.state != "R" or self.cpu is None)


def read_reports(lines: list[Line]) -> list[Report]:
    """In the order of their first lines."""
    by_caller: dict[str, _Reader] = defaultdict(_Reader)
    for index, line in enumerate(lines):
        by_caller[line.caller].read(index, line)
    found = [report for reader in by_caller.values() for report in reader.reports]
    return sorted(found, key=lambda report: report.index)


def last_of(reports: Iterable[Report], kind: str) -> Report | None:
    """The last report with a title of that kind."""
    found = None
    for report in reports:
        if report.has(kind):
            found = report
    return found


def reports_before(reports: list[Report], end: Report | None, *, inclusive: bool = False) -> list[Report]:
    """The reports that began before `end`, with it or without; all of them if there is no end."""
    if end is None:
        return reports
    return [each for each in reports if each.index < end.index or (inclusive and each is end)]


class _Reader:
    """Reads the lines of one caller, each exactly once: what a line is not is told by its first letters."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._current: Report | None = None
        # The last report with a title: KFENCE names the task at the end, below the traces of other tasks.
        self._titled_last: Report | None = None
        # What WARN() says: the line between "cut here" and its title. None: no such line comes next.
        self._said: str | None = None

    def read(self, index: int, line: Line) -> None:
        text, current = line.text, self._current
        marker = ""
        if "<" in text[:10]:
            marker, text = frames.read_marker(text)
            if marker and current:
                current.markers.append((len(current.frames), marker))
        if "+0x" in text and (marker or text[0] in " [?" or (current and current.frames)):
            # The rest of an endless trace is not kept.
            is_full = current is not None and not current.is_closed and len(current.frames) >= _MOST_FRAMES
            if is_full and frames.is_frame(text):
                return
            frame = frames.read_frame(text)
            if frame is not None:
                self._for(index, line, is_new=current is not None and current.is_closed).frames.append(frame)
                return
        self._read_header(index, line, text.lstrip())

    def _read_header(self, index: int, line: Line, text: str) -> None:
        current = self._current
        if (title := read_title(text)) is not None:
            self._titled(index, line, title)
        elif (who := frames.read_who(text)) is not None:
            self._named(index, line, who)
        elif (pointer := frames.read_instruction_pointer(text)) is not None:
            report = self._for(index, line, is_new=False)
            if not report.is_closed:
                report.pointers.append((len(report.frames), pointer))
        elif text.startswith(_ENDS):
            if current:
                current.is_closed = True
        elif (task := frames.read_task(text)) is not None:
            report = self._for(index, line, is_new=current is not None and current.is_begun)
            report.task, report.state = task.task, task.state
        elif self._said == "" or text.startswith("------------[ cut here"):
            self._said = "" if text.startswith("------------[") else text.strip()[:200]
        elif current and not current.hardware:
            current.hardware = frames.read_hardware(text)

    def _named(self, index: int, line: Line, who: frames.Who) -> None:
        current, unnamed = self._current, self._titled_last
        is_new = current is not None and (current.task is not None or bool(current.frames))
        if is_new and unnamed is not None and unnamed.is_bad_access and unnamed.task is None:
            self._current, is_new = unnamed, False
        report = self._for(index, line, is_new=is_new)
        report.cpu = who.cpu if who.cpu is not None else report.cpu
        report.task, report.taint, report.release = who.task, who.taint, who.release

    def _titled(self, index: int, line: Line, title: Title) -> None:
        current = self._current
        said, self._said = self._said, None
        if said and title.kind == WARNING:
            title = replace(title, detail=said)
        is_new = current is not None and (title.is_apart or current.is_closed or current.is_begun)
        report = self._for(index, line, is_new=is_new)
        report.titles.append(title)
        self._titled_last = report
        report.cpu = title.cpu if report.cpu is None else report.cpu

    def _for(self, index: int, line: Line, *, is_new: bool) -> Report:
        if self._current is None or is_new:
            self._current = Report(index, line.at)
            self.reports.append(self._current)
        return self._current
