"""Writes one sentence about the crash: what the kernel was doing. Pure."""

from collections.abc import Sequence

from lambdas.triage.find_culprit import Culprit
from lambdas.triage.model import BlockedTask, Cpu, CrashClass, Frame, InstructionPointer, Memory, Task
from lambdas.triage.signature import blamed_frame, function_name

_WORDS = {
    CrashClass.NMI_HANG: "The machine hung: {cpu} ran {where}{stuck}{others}{waiting}.",
    CrashClass.HARD_LOCKUP: "Hard lockup: {cpu} took no interrupts any more while it ran {where}.",
    CrashClass.SOFT_LOCKUP: "Soft lockup: {cpu} ran nothing else{stuck} than {where}.",
    CrashClass.HUNG_TASK: "Hung task: {task} was blocked{stuck}{below}{blocked}.",
    CrashClass.RCU_STALL: "RCU stall: {cpu} let no grace period end while it ran {where}.",
    CrashClass.OUT_OF_MEMORY: "Out of memory: {task} asked{below} for more than there was{largest}.",
    CrashClass.OOPS: "The kernel crashed on {cpu} in {where}.",
    CrashClass.BUG: "The kernel found a bug of its own on {cpu} in {where}.",
    CrashClass.PAGE_FAULT: "The kernel touched memory that is not there, on {cpu} in {where}.",
    CrashClass.NULL_DEREFERENCE: "The kernel followed a NULL pointer on {cpu} in {where}.",
    CrashClass.STACK_OVERFLOW: "A kernel stack overflowed on {cpu} in {where}.",
    CrashClass.MACHINE_CHECK: "The hardware reported an error that cannot be corrected, on {cpu}.",
    CrashClass.SYSRQ: "Somebody made the kernel crash by sysrq-c: {task} on {cpu}.",
    CrashClass.WATCHDOG: "A watchdog expired while {cpu} ran {where}.",
    CrashClass.PANIC: "The kernel panicked on {cpu} in {where}: {message}",
    CrashClass.UNKNOWN: "",
}


def put_in_words(
    culprit: Culprit, *, cpus: Sequence[Cpu], blocked: Sequence[BlockedTask], memory: Memory | None
) -> str:
    """The sentence, or "" when nothing is known."""
    stuck = f" for {culprit.stuck_seconds} s" if culprit.stuck_seconds else ""
    return _WORDS[culprit.crash_class].format(
        cpu=_cpu(culprit.cpu),
        task=_task(culprit.task),
        where=_where(culprit),
        message=culprit.message.removeprefix("Kernel panic - not syncing: "),
        stuck=stuck,
        others=_others(culprit, cpus),
        below=_below(culprit),
        blocked=f", and {len(blocked) - 1} more" if len(blocked) > 1 else "",
        waiting=_waiting(blocked),
        largest=_largest(memory),
    )


def _where(culprit: Culprit) -> str:
    """spin_forever [hang_me] of kthread (pid 777) · native_queued_spin_lock_slowpath for nvme_irq [nvme] of … ·
    mysqld (pid 9) in user space · the idle task
    """
    pointer, trace = culprit.where.pointer, culprit.where.trace
    place = pointer if pointer and pointer.symbol else trace[0] if trace else None
    task = _task(culprit.task)
    if place is None:
        return f"{task} in user space" if pointer and pointer.is_user_space else task
    blamed = blamed_frame(trace)
    is_on_behalf = blamed is not None and function_name(blamed.symbol) != function_name(place.symbol)
    on_behalf = f" for {_place(blamed)}" if blamed and is_on_behalf else ""
    return f"{_place(place)}{on_behalf} of {task}"


def _place(at: Frame | InstructionPointer) -> str:
    return function_name(at.symbol) + (f" [{at.module}]" if at.module else "")


def _others(culprit: Culprit, cpus: Sequence[Cpu]) -> str:
    """At most two of the other busy CPUs, and the number of the rest."""
    busy = [cpu for cpu in cpus if cpu.cpu != culprit.cpu and cpu.task.pid != 0]
    named = [f"; {_cpu(cpu.cpu)} ran {_doing(cpu)}" for cpu in busy[:2]]
    return "".join(named) + (f"; {len(busy) - 2} more were busy" if len(busy) > 2 else "")


def _doing(cpu: Cpu) -> str:
    return f"{function_name(cpu.symbol)} of {_task(cpu.task)}" if cpu.symbol else f"{_task(cpu.task)} in user space"


def _below(culprit: Culprit) -> str:
    blamed = blamed_frame(culprit.where.trace)
    return f" in {_place(blamed)}" if blamed else ""


def _waiting(blocked: Sequence[BlockedTask]) -> str:
    if not blocked:
        return ""
    first = blocked[0]
    waited = f" for {first.blocked_seconds} s" if first.blocked_seconds else ""
    more = f" and {len(blocked) - 1} more" if len(blocked) > 1 else ""
    return f"; {first.name} (pid {first.pid}){more} had been blocked{waited}"


def _largest(memory: Memory | None) -> str:
    if memory is None or not memory.processes:
        return ""
    largest = memory.processes[0]
    of_all = f" of {memory.total_bytes / 1024**2:.0f}" if memory.total_bytes else ""
    return (
        f"; the largest process, {largest.name} (pid {largest.pid}), had {largest.rss_bytes / 1024**2:.0f}{of_all} MiB"
    )


def _cpu(number: int | None) -> str:
    return "a CPU" if number is None else f"CPU {number}"


def _task(task: Task | None) -> str:
    if task is None or not task.name:
        return "a task"
    if task.pid == 0:
        return "the idle task"
    return task.name if task.pid is None else f"{task.name} (pid {task.pid})"
