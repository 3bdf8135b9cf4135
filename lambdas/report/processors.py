"""The CPUs by what they did, and the blocked tasks by what they wait in. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lambdas.report.analysis_model import Analysis
from lambdas.report.analysis_model import Frame as AnalysedFrame
from lambdas.runtime.moment import duration
from lambdas.runtime.visible_text import clip
from lambdas.triage.blame import blamed_frame, is_idle, is_waiting
from lambdas.triage.model import CrashClass, InstructionPointer, Task, Triage
from lambdas.triage.model import Frame as LoggedFrame
from lambdas.triage.signature import without_digits

USER_SPACE = "user space"
_LONGEST_SYMBOL = 120
_MOST_CPUS = 1024
_MOST_GROUPS = 200


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
    """What one CPU did."""

    number: int
    task: str
    pid: int | None
    doing: str
    trace: tuple[Line, ...] = ()

    @property
    def kind(self) -> tuple[str, ...]:
        """CPUs of one kind are shown together: the same stack, or without a stack tasks of the same name."""
        if self.doing == _IDLE:
            return (_IDLE,)
        names = [line.symbol for line in self.trace if line.is_reliable and self.doing != USER_SPACE]
        return (self.doing, *names) if names else (self.doing, without_digits(self.task))


@dataclass(frozen=True)
class CpuGroup:
    """CPUs that did the same."""

    cpus: tuple[Cpu, ...]
    # The one among them that was interrupted, found or crashed, and which of that.
    marked: int | None = None
    mark: str = ""

    @property
    def count(self) -> str:
        return f"CPU {self.cpus[0].number}" if len(self.cpus) == 1 else f"{len(self.cpus)} CPUs"

    @property
    def title(self) -> str:
        """CPU 0, interrupted here · 446 CPUs: 1-210, 212-447 · 2 CPUs: 0-1, CPU 0 interrupted here"""
        if len(self.cpus) == 1:
            return self.count + (f", {self.mark} here" if self.mark else "")
        numbers = _ranges([cpu.number for cpu in self.cpus])
        return f"{self.count}: {numbers}" + (f", CPU {self.marked} {self.mark} here" if self.mark else "")

    @property
    def task(self) -> str:
        """rm (4211) · rm (4211) and 382 more"""
        first = self.cpus[0]
        if self.doing == _IDLE:
            return ""
        name = first.task or "unknown"
        more = f" and {len(self.cpus) - 1} more" if len(self.cpus) > 1 else ""
        return (f"{name} ({first.pid})" if first.pid else name) + more

    @property
    def doing(self) -> str:
        return self.cpus[0].doing

    @property
    def trace(self) -> tuple[Line, ...]:
        return self.cpus[0].trace


@dataclass(frozen=True)
class Processors:
    """The groups, the rarest first; `sentence` is "" where they are few enough to read."""

    groups: tuple[CpuGroup, ...] = ()
    sentence: str = ""


@dataclass(frozen=True)
class BlockedGroup:
    """Blocked tasks of one name that wait in one function; `waited` is the longest wait."""

    name: str
    count: int
    pids: str
    waited: str
    where: str
    trace: tuple[Line, ...]


@dataclass(frozen=True)
class Blocked:
    """All groups, and how many tasks there were: more than the log shows one by one."""

    groups: tuple[BlockedGroup, ...] = ()
    count: int = 0
    left_out: int = 0


_IDLE = "idle"
_FEW_CPUS = 2
_MOST_IN_SENTENCE = 4
_MOST_PIDS = 40
# What an interrupt, a detector or an exception did to the CPU that the log names.
_MARKS = {
    **dict.fromkeys(
        (
            *(CrashClass.NMI_HANG, CrashClass.HARD_LOCKUP, CrashClass.SOFT_LOCKUP, CrashClass.RCU_STALL),
            CrashClass.WATCHDOG,
        ),
        "interrupted",
    ),
    CrashClass.HUNG_TASK: "found",
    CrashClass.BUG: "found",
}


def draw_processors(triage: Triage | None, analysis: Analysis) -> Processors:
    """The CPUs by what they did. The analysis has all CPUs, the log only those that printed a trace."""
    marked = triage.crashing_cpu if triage else None
    cpus: dict[int, Cpu] = {}
    for logged in triage.cpus if triage else ():
        cpus[logged.cpu] = _cpu(logged.cpu, logged.task, logged.call_trace, is_user_space=logged.is_user_space)
    # A hung task waits: it was on no CPU.
    is_on_cpu = triage is not None and triage.crash_class != CrashClass.HUNG_TASK
    if triage and is_on_cpu and marked is not None and marked not in cpus:
        pointer = triage.instruction_pointer
        is_user_space = pointer is not None and pointer.is_user_space
        cpus[marked] = _cpu(marked, triage.task or Task(), triage.call_trace, is_user_space=is_user_space)
    for found in analysis.cpus:
        if found.cpu is None or not (found.task.name or found.backtrace or found.cpu not in cpus):
            continue
        task = Task(name=found.task.name, pid=found.task.pid)
        known = cpus.get(found.cpu)
        is_user_space = known is not None and known.doing == USER_SPACE
        drawn = _cpu(found.cpu, task, _unlogged(found.backtrace), is_user_space=is_user_space)
        cpus[found.cpu] = replace(drawn, trace=tuple(map(_analysed, found.backtrace)))
    return _group([cpus[number] for number in sorted(cpus)[:_MOST_CPUS]], marked, triage)


def _group(cpus: Sequence[Cpu], marked: int | None, triage: Triage | None) -> Processors:
    by_kind: dict[tuple[str, ...], list[Cpu]] = {}
    for cpu in cpus:
        by_kind.setdefault(cpu.kind, []).append(cpu)
    mark = _MARKS.get(triage.crash_class, "crashed") if triage else ""
    groups = [
        CpuGroup(tuple(each), marked, mark) if any(cpu.number == marked for cpu in each) else CpuGroup(tuple(each))
        for each in by_kind.values()
    ]
    # Whoever does what nobody else does is the first to look at; the idle are the last.
    groups.sort(key=lambda group: (group.doing == _IDLE and not group.mark, len(group.cpus), not group.mark))
    return Processors(tuple(groups), _sentence(groups) if len(cpus) > _FEW_CPUS and len(groups) > 1 else "")


def _sentence(groups: Sequence[CpuGroup]) -> str:
    """383 CPUs wait in dentry_unlink; CPU 211 runs example_hold."""
    largest_first = sorted((group for group in groups if group.doing), key=lambda group: -len(group.cpus))
    said = [f"{group.count} {_plural(group.doing, len(group.cpus))}" for group in largest_first[:_MOST_IN_SENTENCE]]
    left_out = len(largest_first) - len(said)
    more = f"; {left_out} more kinds are below" if left_out > 0 else ""
    return f"{'; '.join(said)}{more}." if said else ""


def _plural(doing: str, count: int) -> str:
    if doing in (_IDLE, USER_SPACE):
        return f"{'is' if count == 1 else 'are'} {'in ' if doing == USER_SPACE else ''}{doing}"
    return doing if count == 1 else doing.replace("waits ", "wait ", 1).replace("runs ", "run ", 1)


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers, with an en dash for each run of them."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}\u2013{last}" for first, last in spans)


@dataclass(frozen=True)
class _BlockedTask:
    """From the log or from the analysis; `seconds` -1: unknown."""

    name: str
    pid: int | None
    seconds: float
    where: str
    trace: tuple[Line, ...]


def draw_blocked(triage: Triage | None, analysis: Analysis) -> Blocked:
    """The blocked tasks by name and function; the group with the longest wait first."""
    if analysis.blocked_tasks:
        tasks = [
            _blocked_task(each.name, each.pid, each.seconds, _unlogged(each.backtrace), map(_analysed, each.backtrace))
            for each in analysis.blocked_tasks
        ]
        count = len(tasks)
    else:
        tasks = [
            _blocked_task(each.name, each.pid, each.blocked_seconds, each.call_trace, map(_logged, each.call_trace))
            for each in (triage.blocked_tasks if triage else ())
        ]
        count = max(triage.blocked_task_count if triage else 0, len(tasks))
    alike: dict[tuple[str, str], list[_BlockedTask]] = {}
    for task in tasks:
        alike.setdefault((without_digits(task.name), task.where), []).append(task)
    # The log had more tasks than triage.json lists: their groups count them.
    counts: dict[tuple[str, str], int] = {}
    for group in triage.blocked_groups if triage and not analysis.blocked_tasks else ():
        place = clip(group.symbol, _LONGEST_SYMBOL)
        key = (without_digits(group.name), place)
        counts[key] = counts.get(key, 0) + group.count
        seconds = group.blocked_seconds if group.blocked_seconds is not None else -1.0
        alike.setdefault(key, [_BlockedTask(group.name, None, seconds, place, ())])
    drawn = sorted(
        ((max(task.seconds for task in each), max(len(each), counts.get(key, 0)), each) for key, each in alike.items()),
        key=lambda each: (-each[0], -each[1]),
    )
    shown = tuple(_blocked_group(each, count) for _, count, each in drawn[:_MOST_GROUPS])
    return Blocked(shown, count, count - sum(group.count for group in shown))


def _blocked_task(
    name: str, pid: int | None, seconds: float | None, frames: Sequence[LoggedFrame], lines: Iterable[Line]
) -> _BlockedTask:
    blamed = blamed_frame(frames)
    where = clip(blamed.symbol, _LONGEST_SYMBOL) if blamed else ""
    return _BlockedTask(name, pid, seconds if seconds is not None else -1.0, where, tuple(lines))


def _blocked_group(tasks: Sequence[_BlockedTask], count: int) -> BlockedGroup:
    longest = max(tasks, key=lambda each: each.seconds)
    pids = [str(task.pid) for task in tasks if task.pid is not None]
    listed = ", ".join(pids[:_MOST_PIDS]) + (", \u2026" if pids and count > min(len(pids), _MOST_PIDS) else "")
    waited = duration(longest.seconds) if longest.seconds >= 0 else ""
    return BlockedGroup(longest.name, count, listed, waited, longest.where, longest.trace)


def _unlogged(frames: Sequence[AnalysedFrame]) -> list[LoggedFrame]:
    """The functions of the analysis, for what decides by their names."""
    return [LoggedFrame(symbol=frame.function or "?") for frame in frames]


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


def _cpu(number: int, task: Task, frames: Sequence[LoggedFrame], *, is_user_space: bool) -> Cpu:
    trace = tuple(_logged(frame) for frame in frames)
    return Cpu(number, task.name, task.pid, _doing(task, frames, is_user_space=is_user_space), trace)


def _doing(task: Task, frames: Sequence[LoggedFrame], *, is_user_space: bool) -> str:
    """runs example_hold · waits in dentry_unlink · user space · idle; "" where the log shows no trace."""
    if is_user_space:
        return USER_SPACE
    blamed = blamed_frame(frames)
    if blamed is None:
        return _IDLE if is_idle(frames) or (task.pid == 0 and task.name.startswith("swapper")) else ""
    verb = "waits in" if is_waiting(frames) else "runs"
    return f"{verb} {clip(blamed.symbol, _LONGEST_SYMBOL)}"


def _logged(frame: LoggedFrame) -> Line:
    symbol = clip(frame.symbol, _LONGEST_SYMBOL)
    return Line(symbol, _offset(frame.offset, frame.size), frame.module, is_reliable=frame.is_reliable)


def _analysed(frame: AnalysedFrame) -> Line:
    source = f"{frame.file}:{frame.line}" if frame.file and frame.line is not None else frame.file
    return Line(clip(frame.function or "?", _LONGEST_SYMBOL), module=frame.module, source=source)


def _offset(offset: int | None, size: int | None) -> str:
    return f"+{offset:#x}/{size:#x}" if offset is not None and size is not None else ""
