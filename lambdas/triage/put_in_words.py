"""Writes one sentence about the crash: what the kernel was doing. Pure."""

import re
from collections.abc import Sequence

from lambdas.triage import titles
from lambdas.triage.blame import blamed_frame, function_name, is_thunk, is_waiting, waits_for_cpu
from lambdas.triage.exception_trace import Where, exception_trace
from lambdas.triage.find_culprit import Culprit
from lambdas.triage.find_memory_hog import Hog
from lambdas.triage.model import BlockedTask, Cpu, CrashClass, Frame, InstructionPointer, Memory, Task
from lambdas.triage.reports import Report

# Where a title turns to addresses and numbers.
_DETAILS = re.compile(
    r", (?:probably|maybe|address|error_code|code|ESR)"
    r"| (?:at|for|in) (?:virtual |non-canonical )?(?:address|\S{0,40}[0-9a-f]{8})|: ?[0-9a-f]{4,16}\b|: \[#| \[#"
)
# LustreError: 2101:0:(osd_handler.c:2017:osd_object_release()) LBUG
_BEFORE_THE_FAULT = re.compile(r"BUG: |Oops: |LustreError: \d{1,10}:\d{1,10}:\(.{1,200}?\)\) ")
_WORDS = {
    CrashClass.NMI_HANG: "The machine hung: {hang}{others}{waiting}{idle}.",
    CrashClass.HARD_LOCKUP: "Hard lockup: {cpu} took no interrupts any more while it ran {where}{others}{earlier}.",
    CrashClass.SOFT_LOCKUP: "Soft lockup: {cpu} ran nothing else{stuck} than {where}{others}{earlier}.",
    CrashClass.HUNG_TASK: "Hung task: {task} was blocked{stuck}{below}{owner}{blocked}{cpu_stuck}{earlier}.",
    CrashClass.RCU_STALL: "RCU stall: {cpu} let no grace period end while it ran {where}{others}{earlier}.",
    CrashClass.OUT_OF_MEMORY: "Out of memory: {task} asked{below} for more than there was{largest}.",
    CrashClass.OOPS: "The kernel crashed on {cpu} in {where}{earlier}.",
    CrashClass.BUG: "The kernel found a bug of its own on {cpu} in {where}{said}{earlier}.",
    CrashClass.PAGE_FAULT: "The kernel touched memory that is not there, on {cpu} in {where}{earlier}.",
    CrashClass.NULL_DEREFERENCE: "The kernel followed a NULL pointer on {cpu} in {where}{earlier}.",
    CrashClass.STACK_OVERFLOW: "A kernel stack overflowed on {cpu} in {where}{earlier}.",
    CrashClass.MACHINE_CHECK: "The hardware reported an error that cannot be corrected, on {cpu}.",
    CrashClass.SYSRQ: "Somebody made the kernel crash by sysrq-c: {task} on {cpu}.",
    CrashClass.WATCHDOG: "A watchdog expired while {cpu} ran {where}{earlier}.",
    CrashClass.PANIC: "The kernel panicked on {cpu} in {where}: {message}{earlier}",
    CrashClass.UNKNOWN: "",
}
_NOBODY_BLOCKED = (
    "Hung task: the kernel named no task, since kernel.hung_task_warnings was used up{cpu_stuck}{earlier}."
)
_READER_PREEMPTED = "RCU stall: {task} let no grace period end, preempted{below}{earlier}."
# With the class before it.
_WAITED_FOR = ": other CPUs waited while {cpu} ran {where}{others}{earlier}."
_INIT_ENDED = "The first process, {task}, was ended by {cause}, and the kernel cannot run without it{earlier}."


def put_in_words(
    culprit: Culprit,
    *,
    cpus: Sequence[Cpu],
    blocked: Sequence[BlockedTask],
    blocked_count: int,
    memory: Memory | None,
    hog: Hog | None,
) -> str:
    """The sentence, or "" when nothing is known."""
    words = _WORDS[culprit.crash_class]
    if culprit.crash_class == CrashClass.HUNG_TASK and culprit.task is None:
        words = _NOBODY_BLOCKED
    elif culprit.crash_class == CrashClass.RCU_STALL and culprit.report and culprit.report.is_off_cpu:
        words = _READER_PREEMPTED
    elif culprit.is_waited_for:
        words = words.partition(":")[0] + _WAITED_FOR
    elif culprit.init_ended_by:
        words = _INIT_ENDED
    stuck = f" for {culprit.stuck_seconds} s" if culprit.stuck_seconds else ""
    named = {culprit.task.pid if culprit.task else None, _owner_pid(culprit.lock_owner)} - {None}
    others = [each for each in blocked if each.pid not in named]
    busy = _others(culprit, cpus)
    others_count = blocked_count - (len(blocked) - len(others))
    return words.format(
        cpu=_cpu(culprit.cpu),
        task=_task(culprit.task),
        where=_where(culprit),
        message=culprit.message.removeprefix("Kernel panic - not syncing: "),
        stuck=stuck,
        hang=_hang(culprit, stuck, is_all=not others and not busy),
        others=busy,
        below=_below(culprit),
        blocked=f", and {others_count} more" if others_count else "",
        waiting=_waiting(others, others_count),
        largest=_largest(memory, hog),
        owner=_owner(culprit.lock_owner),
        cpu_stuck=_stuck(culprit),
        earlier=_earlier(culprit),
        idle=f"; the interrupted {_cpu(culprit.cpu)} was idle" if culprit.interrupted else "",
        cause=culprit.init_ended_by,
        said=f": {culprit.said.rstrip(' .!')}" if culprit.said else "",
    )


def _hang(culprit: Culprit, stuck: str, *, is_all: bool) -> str:
    """What hung: the task that others wait for, the task that died with its locks, or what a CPU ran. `is_all`: the
    rest of the sentence names nothing else."""
    report = culprit.report
    if culprit.interrupted and report is not None:
        if report.has(titles.OOPS):
            return _fault(report, culprit.end)
        blocked = f"{_task(culprit.task)} had been blocked{stuck}{_below(culprit)}"
        return f"{blocked}{_owner(culprit.lock_owner)}{_earlier(culprit)}"
    is_idle = culprit.task is not None and culprit.task.pid == 0 and blamed_frame(culprit.where.trace) is None
    if is_idle and not culprit.where.is_in_interrupt:
        idle = f"{_cpu(culprit.cpu)} was idle at the interrupt"
        return f"{idle}, and the log names no other trouble" if is_all else idle
    return f"{_cpu(culprit.cpu)} ran {_where(culprit)}{stuck}{_earlier(culprit)}"


def _where(culprit: Culprit) -> str:
    return _running(culprit.where, culprit.task)


def _running(where: Where, task: Task | None) -> str:
    """spin_forever [hang_me] of kthread (pid 777) · mysqld (pid 9) in user space · the idle task ·
    native_queued_spin_lock_slowpath for nvme_irq [nvme] in an interrupt
    """
    pointer, trace = where.pointer, where.trace
    place = pointer if pointer and pointer.symbol else trace[0] if trace else None
    who = _task(task)
    if place is None:
        return f"{who} in user space" if pointer and pointer.is_user_space else who
    blamed = blamed_frame(trace)
    if blamed is not None and is_thunk(place):
        place = blamed
    is_on_behalf = blamed is not None and function_name(blamed.symbol) != function_name(place.symbol)
    on_behalf = f" for {_place(blamed)}" if blamed and is_on_behalf else ""
    whose = " in an interrupt" if where.is_in_interrupt else f" of {who}"
    return f"{_place(place)}{on_behalf}{whose}{', waiting for another CPU' if waits_for_cpu(trace) else ''}"


def _fault(report: Report, end: Report | None) -> str:
    """A fault that the kernel survived: 301 s before, general protection fault in example_purge of x (pid 9)"""
    # "general protection fault, probably for …", "BUG: unable to handle page fault for address: …": what, not where
    title = report.titles[0].text
    prefix = _BEFORE_THE_FAULT.match(title)
    what = _DETAILS.split(title[prefix.end() :] if prefix else title)[0][:80]
    return f"{_ago(report, end)}{what} in {_running(exception_trace(report, is_interruption=False), report.task)}"


def _ago(report: Report, end: Report | None) -> str:
    return f"{end.at - report.at:.0f} s before, " if end and end.at is not None and report.at is not None else ""


def _stuck(culprit: Culprit) -> str:
    """; 28 s before, CPU 3 had been stuck for 130 s in example_drain_ring [example_blk] of kworker/3:1 (pid 99)"""
    report = culprit.stuck
    if report is None or report.is_off_cpu:
        return ""
    seconds = next((title.seconds for title in report.titles if title.seconds), None)
    stuck = f" for {seconds} s" if seconds else ""
    where = _running(exception_trace(report, is_interruption=True), report.task)
    return f"; {_ago(report, culprit.end)}{_cpu(report.cpu)} had been stuck{stuck} in {where}"


def _earlier(culprit: Culprit) -> str:
    return f"; {_fault(culprit.earlier, culprit.end)}" if culprit.earlier else ""


def _owner(report: Report | None) -> str:
    if report is None:
        return ""
    title = report.has(titles.LOCK_OWNER)
    blamed = blamed_frame(exception_trace(report, is_interruption=False).trace)
    where = f", in {_place(blamed)}," if blamed else ""
    return f" on a lock that {_task(title.task if title else None)}{where} likely holds"


def _owner_pid(report: Report | None) -> int | None:
    title = report.has(titles.LOCK_OWNER) if report else None
    return title.task.pid if title and title.task else None


def _place(at: Frame | InstructionPointer) -> str:
    return function_name(at.symbol) + (f" [{at.module}]" if at.module else "")


def _others(culprit: Culprit, cpus: Sequence[Cpu]) -> str:
    """What the other busy CPUs did, those that did the same together; at most two kinds."""
    kinds: dict[str, list[Cpu]] = {}
    is_by_another = culprit.crash_class in (CrashClass.RCU_STALL, CrashClass.HARD_LOCKUP) and not culprit.is_waited_for
    detector = culprit.end.cpu if culprit.end and is_by_another else None
    for cpu in cpus:
        if cpu.cpu not in (culprit.cpu, detector) and cpu.task.pid != 0:
            blamed = blamed_frame(cpu.call_trace)
            kinds.setdefault(blamed.symbol if blamed else f"{cpu.cpu}", []).append(cpu)
    largest_first = sorted(kinds.values(), key=lambda each: -len(each))
    named = [f"; {_did(each)}" for each in largest_first[:2]]
    rest = sum(len(each) for each in largest_first[2:])
    return "".join(named) + (f"; {rest} more were busy" if rest else "")


def _did(alike: Sequence[Cpu]) -> str:
    """CPU 1 ran memcpy of mysqld (pid 9) · 446 CPUs waited in dentry_unlink"""
    first = alike[0]
    blamed = blamed_frame(first.call_trace)
    if len(alike) > 1 and blamed is not None:
        return f"{len(alike)} CPUs {'waited' if is_waiting(first.call_trace) else 'ran'} in {_place(blamed)}"
    if first.symbol:
        return f"{_cpu(first.cpu)} ran {function_name(first.symbol)} of {_task(first.task)}"
    return f"{_cpu(first.cpu)} ran {_task(first.task)}{' in user space' if first.is_user_space else ''}"


def _below(culprit: Culprit) -> str:
    blamed = blamed_frame(culprit.where.trace)
    return f" in {_place(blamed)}" if blamed else ""


def _waiting(blocked: Sequence[BlockedTask], count: int) -> str:
    if not blocked:
        return ""
    first = blocked[0]
    waited = f" for {first.blocked_seconds} s" if first.blocked_seconds else ""
    blamed = blamed_frame(first.call_trace)
    where = f" in {_place(blamed)}" if blamed else ""
    more = f" and {count - 1} more" if count > 1 else ""
    return f"; {first.name} (pid {first.pid}){more} had been blocked{waited}{where}"


def _largest(memory: Memory | None, hog: Hog | None) -> str:
    """; 200 processes httpd had 29832 of 32768 MiB"""
    if memory is None or hog is None:
        return ""
    largest = memory.processes[0]
    if len(hog.processes) > 1 and hog.processes[0].rss_bytes < hog.size_bytes / 2:
        return f"; {len(hog.processes)} processes {hog.processes[0].name} had {_of_all(hog.size_bytes, memory)}"
    if hog.slab:
        return f"; the kernel's slab cache {hog.slab.name} had {_of_all(hog.slab.size_bytes, memory)}"
    had = f"{largest.name} (pid {largest.pid}), had {_of_all(largest.rss_bytes, memory)}"
    return f"{'' if hog.processes else '; the kernel itself had most'}; the largest process, {had}"


def _of_all(size_bytes: int, memory: Memory) -> str:
    if memory.total_bytes is None:
        return f"{size_bytes / 1024**2:.0f} MiB"
    # Memory that processes share counts in each of them.
    if size_bytes > memory.total_bytes:
        return "most of it"
    return f"{size_bytes / 1024**2:.0f} of {memory.total_bytes / 1024**2:.0f} MiB"


def _cpu(number: int | None) -> str:
    return "a CPU" if number is None else f"CPU {number}"


def _task(task: Task | None) -> str:
    if task is None or not task.name:
        return "a task"
    if task.pid == 0:
        return "the idle task"
    return task.name if task.pid is None else f"{task.name} (pid {task.pid})"
