"""Finds the culprit from the stacks: the class of the crash, the task and the function.

The log is asked only for an oops: its dump begins at the registers of the exception, without its handler on the stack.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import drgn
from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.panic import panic_task
from drgn.helpers.linux.printk import get_dmesg
from drgn.helpers.linux.sched import cpu_curr, task_cpu

from analysis.backtrace import backtrace, describe_task
from analysis.blocked_tasks import longest_blocked
from analysis.locks import holder_awaited_by
from analysis.rcu import for_each_staller

# Functions of the crashing task, innermost first, and the class that each proves. Linux 4.18 to 6.12.
_GAVE_UP_IN = {
    "unknown_nmi_error": "nmi-hang",
    "watchdog_overflow_callback": "hard-lockup",
    "watchdog_hardlockup_check": "hard-lockup",
    "watchdog_timer_fn": "soft-lockup",
    "check_hung_uninterruptible_tasks": "hung-task",
    "check_cpu_stall": "rcu-stall",
    "rcu_sched_clock_irq": "rcu-stall",
    "out_of_memory": "out-of-memory",
    "sysrq_handle_crash": "sysrq",
    "mce_panic": "machine-check",
    "arm64_serror_panic": "machine-check",
    "handle_stack_overflow": "stack-overflow",
    "handle_bad_stack": "stack-overflow",
    "panic_bad_stack": "stack-overflow",
}
# The first line of the last oops in the log, which ended the kernel.
_OOPS_SAYS = (
    ("stack-overflow", r"BUG: .{0,40}stack guard page was hit|kernel stack overflow|Insufficient stack space"),
    ("null-dereference", r"(?:BUG: kernel|Unable to handle kernel) NULL pointer dereference"),
    ("page-fault", r"BUG: unable to handle (?:page fault|kernel paging request)|Unable to handle kernel (?!NULL)"),
    ("bug", r"kernel BUG at|Oops - BUG"),
    ("oops", r"Oops: |general protection fault|Internal error: |PANIC: double fault"),
)
# An interrupt reports these; the task at fault itself causes the others.
_INTERRUPTIONS = {"nmi-hang", "hard-lockup", "soft-lockup", "rcu-stall", "machine-check"}
# A task that waits, pauses, takes a lock or allocates memory is in these; their caller shows the reason.
_MACHINERY = re.compile(
    r"(?:^|/)(?:kernel/(?:sched|locking|rcu)/|kernel/time/(?:timer|sleep_timeout)\.c|kernel/(?:panic|kexec\w*|crash_\w+|vmcore_info)\.c"
    r"|mm/(?:page_alloc|oom_kill|mempolicy|slab\w*|slub)\.c|include/linux/(?:gfp|slab|mutex|rwsem|spinlock\w*)\.h"
    r"|arch/\w+/include/asm/(?:kexec|current|qspinlock|paravirt|vdso/processor|processor)\.h)"
)
_LONGEST_CHAIN = 100


def find_culprit(program: drgn.Program) -> dict[str, Any]:
    """`waiters` are the tasks that wait, each for a lock of the next; `function` is "" in user space."""
    dying = panic_task(program)
    stack = list(program.stack_trace(dying))
    crash_class = class_by_stack(stack) or class_by_log(get_dmesg(program).decode(errors="replace"))
    chain = [_suspect(program, dying, crash_class)]
    while (holder := holder_awaited_by(chain[-1])) is not None and len(chain) < _LONGEST_CHAIN:
        if any(holder.value_() == task.value_() for task in chain):
            break
        chain.append(holder)
    task = chain[-1]
    trace = backtrace(task)
    if crash_class in _INTERRUPTIONS and task.value_() == dying.value_():
        trace = trace[_interrupted(stack) :]
    blamed = blamed_frame(trace)
    cpu = int(task_cpu(task))
    return {
        "crashClass": crash_class,
        "task": describe_task(task),
        "cpu": cpu if cpu_curr(program, cpu).value_() == task.value_() else None,
        "function": blamed["function"] if blamed and blamed["symbol"] else "",
        "module": blamed["module"] if blamed else "",
        "backtrace": trace,
        "waiters": [describe_task(waiter) for waiter in chain[:-1]],
    }


def blamed_frame(trace: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The innermost frame of `trace` that acts on its own; if none does, the innermost."""
    acting = (frame for frame in trace if not _MACHINERY.search(frame["file"]))
    return next(acting, trace[0] if trace else None)


def _suspect(program: drgn.Program, dying: drgn.Object, crash_class: str) -> drgn.Object:
    """The task that reported another's trouble, or was idle at the interrupt, is not the culprit."""
    is_idle = dying.pid.value_() == 0
    if crash_class == "nmi-hang" and is_idle:
        running = (cpu_curr(program, cpu) for cpu in for_each_online_cpu(program))
        busy = next((task for task in running if task.pid.value_() != 0), None)
        return busy if busy is not None else longest_blocked(program) or dying
    if crash_class == "rcu-stall":
        stallers = list(for_each_staller(program))
        return next((task for task in stallers if task.value_() == dying.value_()), stallers[0] if stallers else dying)
    return (longest_blocked(program) or dying) if crash_class == "hung-task" else dying


def class_by_stack(stack: Sequence[drgn.StackFrame]) -> str:
    return next((_GAVE_UP_IN[frame.name] for frame in stack if frame.name in _GAVE_UP_IN), "")


def class_by_log(log: str) -> str:
    said = [(found.start(), crash_class) for crash_class, pattern in _OOPS_SAYS for found in re.finditer(pattern, log)]
    if not said:
        return "panic"
    # "Oops: 0000 [#1]" is a later line of an oops; its first line says more.
    telling = [each for each in said if each[1] != "oops"]
    return max(telling or said)[1]


def _interrupted(stack: Sequence[drgn.StackFrame]) -> int:
    """The place of the interrupted code. The frames before the first call belong to the dump itself."""
    called = next((place for place, frame in enumerate(stack) if not frame.interrupted), len(stack))
    return next((place for place, frame in enumerate(stack) if place > called and frame.interrupted), 0)
