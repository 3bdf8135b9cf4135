"""Reads the reports in a kernel's log: panic, oops, lockup or a task's stack, each with its trace. Pure.

If printk prints caller ids, each caller's lines are read separately: the reports of two CPUs may be interleaved.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from lambdas.triage import frames
from lambdas.triage.model import Frame, InstructionPointer, Task
from lambdas.triage.printk import Line
from lambdas.triage.titles import Title, read_title

# show_trace prints no more than a stack of 16 KiB holds; a longer one is no trace.
_MOST_FRAMES = 256
# What follows is not the trace of the fault: KASAN tells where the memory came from.
_ENDS = ("---[ end trace", "Allocated by task ", "Freed by task ", "Last potentially related work creation:")


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
        return next((title for title in self.titles if title.kind == kind), None)

    @property
    def is_begun(self) -> bool:
        """Whether the report has more than titles."""
        return bool(self.frames or self.pointers or self.task)

    @property
    def is_off_cpu(self) -> bool:
        """Whether the task was shown asleep or preempted. The dump of a stalled CPU shows its task in state R."""
        return self.state != "" and (self.state != "R" or self.cpu is None)


def read_reports(lines: list[Line]) -> list[Report]:
    """In the order of their first lines."""
    by_caller: dict[str, list[tuple[int, Line]]] = defaultdict(list)
    for index, line in enumerate(lines):
        by_caller[line.caller].append((index, line))
    found = [report for own in by_caller.values() for report in _Reader().read(own)]
    return sorted(found, key=lambda report: report.index)


class _Reader:
    def __init__(self) -> None:
        self._reports: list[Report] = []
        self._current: Report | None = None

    def read(self, lines: list[tuple[int, Line]]) -> list[Report]:
        for index, line in lines:
            self._read(index, line)
        return self._reports

    def _read(self, index: int, line: Line) -> None:
        marker, text = frames.read_marker(line.text)
        if marker and self._current:
            self._current.markers.append((len(self._current.frames), marker))
        if text[:1] in (" ", "[", "?") or marker or (text and self._current and self._current.frames):
            frame = frames.read_frame(text)
            if frame is not None:
                self._add_frame(index, line, frame)
                return
        self._read_header(index, line, text.lstrip())

    def _read_header(self, index: int, line: Line, text: str) -> None:
        title = read_title(text)
        who = frames.read_who(text)
        pointer = frames.read_instruction_pointer(text)
        if title is not None:
            self._titled(index, line, title)
        elif who is not None:
            report = self._for(index, line, is_new=lambda report: report.task is not None or bool(report.frames))
            report.cpu = who.cpu if who.cpu is not None else report.cpu
            report.task, report.taint, report.release = who.task, who.taint, who.release
        elif pointer is not None:
            report = self._for(index, line, is_new=lambda _: False)
            if not report.is_closed:
                report.pointers.append((len(report.frames), pointer))
        elif text.startswith(_ENDS):
            if self._current:
                self._current.is_closed = True
        else:
            self._read_rest(index, line, text)

    def _read_rest(self, index: int, line: Line, text: str) -> None:
        task = frames.read_task(text)
        if task is not None:
            report = self._for(index, line, is_new=lambda report: report.is_begun)
            report.task, report.state = task.task, task.state
        elif self._current and not self._current.hardware:
            self._current.hardware = frames.read_hardware(text)

    def _add_frame(self, index: int, line: Line, frame: Frame) -> None:
        report = self._for(index, line, is_new=lambda report: report.is_closed)
        if len(report.frames) < _MOST_FRAMES:
            report.frames.append(frame)

    def _titled(self, index: int, line: Line, title: Title) -> None:
        report = self._for(index, line, is_new=lambda report: report.is_begun or report.is_closed or title.is_apart)
        report.titles.append(title)
        report.cpu = title.cpu if report.cpu is None else report.cpu

    def _for(self, index: int, line: Line, *, is_new: Callable[[Report], bool]) -> Report:
        if self._current is None or is_new(self._current):
            self._current = Report(index, line.at)
            self._reports.append(self._current)
        return self._current
