"""The ways in which the lab crashes its guest, what must be found out about each, and the page that tells of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.guest.crash_guest import CrashClass

PAGE = Path(__file__).resolve().parents[2] / "docs" / "crash-classes.md"
_TEMPLATE = Path(__file__).with_name("crash_classes.md")

CRASH_CLASSES = (
    CrashClass("nmi-hang", "hd-deaf", "hangdump_spin_with_interrupts_off", "kernel.unknown_nmi_panic=1"),
    CrashClass(
        "soft-lockup",
        "hd-busy",
        "hangdump_spin_without_scheduling",
        "kernel.softlockup_panic=1 kernel.watchdog_thresh=4",
    ),
    CrashClass(
        "hung-task",
        "hd-holder",
        "hangdump_hold_the_mutex",
        "kernel.hung_task_panic=1 kernel.hung_task_timeout_secs=8",
        victim=("hd-waiter", "hangdump_wait_for_the_mutex"),
    ),
    CrashClass(
        "rcu-stall",
        "hd-reader",
        "hangdump_read_for_ever",
        "kernel.panic_on_rcu_stall=1 /sys/module/rcupdate/parameters/rcu_cpu_stall_timeout=5",
    ),
    CrashClass(
        "rcu-stall-elsewhere",
        "hd-deaf-reader",
        "hangdump_read_with_interrupts_off",
        "kernel.panic_on_rcu_stall=1 /sys/module/rcupdate/parameters/rcu_cpu_stall_timeout=5",
        one_of="rcu-stall",
    ),
    CrashClass("null-dereference", "hd-null", "hangdump_follow_a_null_pointer"),
    CrashClass("page-fault", "hd-overrun", "hangdump_run_off_the_end"),
    CrashClass("bug", "hd-assertion", "hangdump_break_an_assertion"),
    CrashClass("stack-overflow", "hd-recursion", "hangdump_recurse_without_end"),
    CrashClass("out-of-memory", "hd-eater", "hangdump_eat_all_memory", "vm.panic_on_oom=1"),
    CrashClass("sysrq", "hd-sysrq", "sysrq_handle_crash", ""),
)


@dataclass(frozen=True)
class Finding:
    """What was found out about a crash: class, task and function."""

    crash_class: str
    task: str
    function: str

    def __str__(self) -> str:
        return f"{self.crash_class}: `{self.function}` of `{self.task}`"


@dataclass(frozen=True)
class Row:
    """A crash and what was told of it."""

    crash: CrashClass
    triage: Finding
    analysis: Finding


def page(rows: Sequence[Row], *, kernel: str) -> str:
    """docs/crash-classes.md: nothing that changes from run to run, no time, no address."""
    table = [
        f"| {row.crash.name} | {'<br>'.join(f'`{each}`' for each in row.crash.settings.split()) or '-'} "
        f"| `{row.crash.function}` of `{row.crash.task}` | {row.triage} | {row.analysis} |"
        for row in rows
    ]
    return _TEMPLATE.read_text().replace("{kernel}", kernel).replace("{table}", "\n".join(table))
