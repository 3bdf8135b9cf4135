"""The grid of CPUs with their tasks, and the list of blocked tasks. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.report.analysis_model import Analysis
from lambdas.report.analysis_model import Frame as AnalysedFrame
from lambdas.report.text import duration
from lambdas.runtime.visible_text import clip
from lambdas.triage.model import CrashClass, InstructionPointer, Triage
from lambdas.triage.model import Frame as LoggedFrame

USER_SPACE = "user space"
_LONGEST_SYMBOL = 120
_MOST_CPUS = 1024
_MOST_TASKS = 500
# With more CPUs than this, idle ones are not drawn.
_MOST_IDLE_CELLS = 16


@dataclass(frozen=True)
class Line:
    """One line of a trace; `offset` as the kernel prints it, `source` from the symbols."""

    symbol: str
    offset: str = ""
    module: str = ""
    source: str = ""
    is_reliable: bool = True


@dataclass(frozen=True)
class Cpu:
    """One cell of the grid."""

    number: int
    task: str
    pid: int | None
    function: str
    is_crashing: bool
    is_idle: bool
    trace: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Blocked:
    """One task in uninterruptible sleep."""

    name: str
    pid: int | None
    waited: str
    seconds: float
    trace: tuple[Line, ...]

    @property
    def where(self) -> str:
        """The innermost function outside the scheduler: it shows the reason of the wait."""
        plain = [line.symbol for line in self.trace if line.is_reliable]
        return next((each for each in plain if each not in _SCHEDULING), plain[0] if plain else "")


_SCHEDULING = {
    *(
        "__schedule",
        "schedule",
        "__switch_to",
        "context_switch",
        "io_schedule",
        "schedule_timeout",
        "io_schedule_timeout",
    ),
    *("schedule_preempt_disabled", "__switch_to_asm", "preempt_schedule_common"),
}


@dataclass(frozen=True)
class Grid:
    """The CPUs to draw; if there are many, `idle` names the idle ones."""

    cells: tuple[Cpu, ...] = ()
    idle: str = ""

    @property
    def traced(self) -> tuple[Cpu, ...]:
        """The CPUs whose trace has more than one line."""
        return tuple(cpu for cpu in self.cells if len(cpu.trace) > 1)


def arrange(cpus: Sequence[Cpu]) -> Grid:
    """The grid of `cpus`, which are in order."""
    idle = [cpu.number for cpu in cpus if cpu.is_idle and not cpu.is_crashing]
    if len(cpus) <= _MOST_IDLE_CELLS or not idle:
        return Grid(tuple(cpus))
    return Grid(tuple(cpu for cpu in cpus if cpu.number not in set(idle)), _ranges(idle))


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers, with an en dash for each run of them."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}\u2013{last}" for first, last in spans)


def draw_grid(triage: Triage | None, analysis: Analysis) -> Grid:
    """The CPUs by number. The analysis has all CPUs, the log only those that printed a trace."""
    crashing = triage.crashing_cpu if triage else None
    cpus: dict[int, Cpu] = {}
    for logged in triage.cpus if triage else ():
        trace = tuple(_logged(frame) for frame in logged.call_trace)
        cpus[logged.cpu] = _cpu(
            logged.cpu, logged.task.name, logged.task.pid, logged.symbol or USER_SPACE, crashing, trace
        )
    # A hung task waits: it was on no CPU.
    is_on_cpu = triage is not None and triage.crash_class != CrashClass.HUNG_TASK
    if triage and is_on_cpu and crashing is not None and (crashing not in cpus or not cpus[crashing].task):
        task, pointer = triage.task, triage.instruction_pointer
        name, pid = (task.name, task.pid) if task else ("", None)
        trace = tuple(_logged(frame) for frame in triage.call_trace)
        cpus[crashing] = _cpu(crashing, name, pid, where(pointer), crashing, trace)
    for found in analysis.cpus:
        if found.cpu is not None and (found.task.name or found.backtrace or found.cpu not in cpus):
            trace = tuple(_analysed(frame) for frame in found.backtrace)
            function = next((line.symbol for line in trace if line.symbol), "")
            known = cpus.get(found.cpu)
            cpus[found.cpu] = _cpu(
                found.cpu,
                found.task.name,
                found.task.pid,
                function or (known.function if known else ""),
                crashing,
                trace,
            )
    return arrange([cpus[number] for number in sorted(cpus)[:_MOST_CPUS]])


def draw_blocked(triage: Triage | None, analysis: Analysis) -> tuple[Blocked, ...]:
    """The blocked tasks, the longest wait first."""
    if analysis.blocked_tasks:
        blocked = [
            _blocked(task.name, task.pid, task.seconds, [_analysed(frame) for frame in task.backtrace])
            for task in analysis.blocked_tasks
        ]
    else:
        blocked = [
            _blocked(task.name, task.pid, task.blocked_seconds, [_logged(frame) for frame in task.call_trace])
            for task in (triage.blocked_tasks if triage else ())
        ]
    return tuple(sorted(blocked, key=lambda task: -task.seconds)[:_MOST_TASKS])


def draw_trace(triage: Triage | None) -> tuple[Line, ...]:
    """The trace of the exception, innermost first."""
    return tuple(_logged(frame) for frame in triage.call_trace) if triage else ()


def where(pointer: InstructionPointer | None) -> str:
    """The function that the CPU executed."""
    if pointer is None:
        return ""
    return USER_SPACE if pointer.is_user_space else clip(pointer.symbol, _LONGEST_SYMBOL)


def pointer_line(pointer: InstructionPointer | None) -> Line | None:
    """The innermost line of a trace, which the kernel prints as RIP or pc."""
    if pointer is None or not (pointer.symbol or pointer.is_user_space):
        return None
    return Line(where(pointer), _offset(pointer.offset, pointer.size), pointer.module)


def _cpu(number: int, task: str, pid: int | None, function: str, crashing: int | None, trace: Sequence[Line]) -> Cpu:
    is_idle = task.startswith("swapper/") or task == "swapper"
    function = clip(function, _LONGEST_SYMBOL) if task or function != USER_SPACE else ""
    return Cpu(number, task, pid, function, number == crashing, is_idle, tuple(trace))


def _blocked(name: str, pid: int | None, seconds: float | None, trace: Sequence[Line]) -> Blocked:
    waited = duration(seconds) if seconds is not None else ""
    return Blocked(name, pid, waited, seconds if seconds is not None else -1.0, tuple(trace))


def _logged(frame: LoggedFrame) -> Line:
    symbol = clip(frame.symbol, _LONGEST_SYMBOL)
    return Line(symbol, _offset(frame.offset, frame.size), frame.module, is_reliable=frame.is_reliable)


def _analysed(frame: AnalysedFrame) -> Line:
    source = f"{frame.file}:{frame.line}" if frame.file and frame.line is not None else frame.file
    return Line(clip(frame.function or "?", _LONGEST_SYMBOL), module=frame.module, source=source)


def _offset(offset: int | None, size: int | None) -> str:
    return f"+{offset:#x}/{size:#x}" if offset is not None and size is not None else ""
