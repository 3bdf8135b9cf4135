"""What class a crash is, by what the dying task was in, or by the words of the oops that ended it."""

from types import SimpleNamespace

import pytest

from analysis.culprit import blamed_frame, class_by_log, class_by_stack
from tests.lambdas.triage.triage_cases import CASES, read

# Elsewhere the stack of the dying task tells the class (class_by_stack), which comes first.
BY_ITS_WORDS = (
    *("bug-in-softirq", "bug-real-guest", "double-fault-redhat8", "general-protection-fault", "list-del-corruption"),
    *("null-dereference", "null-dereference-arm64", "null-dereference-real-guest", "oops-and-a-second-title"),
    *("page-fault-real-guest", "page-fault-without-time-stamps", "stack-overflow", "stack-overflow-real-guest"),
    *("call-through-a-bad-pointer", "memcpy-beyond-a-page-arm64", "kernel-bug-arm64", "softirq-crash-arm64"),
)


@pytest.mark.parametrize("name", BY_ITS_WORDS)
def test_reads_the_class_of_an_oops_as_triage_does(name: str) -> None:
    assert class_by_log(read(name)) == CASES[name].crash_class


def test_of_several_oopses_the_last_counts() -> None:
    earlier = "[   1.0] BUG: kernel NULL pointer dereference, address: 0\n[   1.1] Oops: 0000 [#1] PREEMPT SMP\n"
    last = "[   9.0] kernel BUG at mm/slub.c:1!\n[   9.1] invalid opcode: 0000 [#2] PREEMPT SMP\n"
    assert (class_by_log(earlier + last), class_by_log(last + earlier)) == ("bug", "null-dereference")


@pytest.mark.parametrize(
    ("stack", "crash_class"),
    [
        pytest.param(
            ["__crash_kexec", "panic", "nmi_panic", "unknown_nmi_error", "exc_nmi", "spin"], "nmi-hang", id="nmi"
        ),
        pytest.param(["__crash_kexec", "panic", "watchdog_timer_fn", "__hrtimer_run_queues"], "soft-lockup", id="soft"),
        pytest.param(["panic", "out_of_memory", "__alloc_pages", "do_user_addr_fault"], "out-of-memory", id="memory"),
        # The timer's interrupt of a stall came upon an allocation.
        pytest.param(["panic", "rcu_sched_clock_irq", "alloc_pages", "out_of_memory"], "rcu-stall", id="innermost"),
        pytest.param(["__crash_kexec", "panic", "mount_block_root"], "", id="no-telltale"),
    ],
)
def test_reads_the_class_from_what_the_dying_task_was_in(stack: list[str], crash_class: str) -> None:
    assert class_by_stack([SimpleNamespace(name=name) for name in stack]) == crash_class


@pytest.mark.parametrize(
    "machinery",
    [
        pytest.param(
            {"function": "rep_nop", "file": "arch/x86/include/asm/vdso/processor.h"}, id="the-pause-of-a-loop"
        ),
        pytest.param({"function": "cpu_relax", "file": "arch/arm64/include/asm/vdso/processor.h"}, id="of-arm64"),
        pytest.param({"function": "schedule", "file": "kernel/sched/core.c"}, id="the-scheduler"),
    ],
)
def test_who_called_the_machinery_is_blamed(machinery: dict[str, str]) -> None:
    caller = {"function": "example_spin", "file": "drivers/example/spin.c"}
    assert blamed_frame([machinery, caller]) == caller
    assert blamed_frame([machinery]) == machinery
    assert blamed_frame([]) is None
