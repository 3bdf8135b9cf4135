"""The corpus of kernel logs, and what each must be told to be."""

from dataclasses import dataclass
from pathlib import Path

from lambdas.triage import CrashClass

LOGS = Path(__file__).parent / "logs"


@dataclass(frozen=True)
class Case:
    """cpu, task (name, pid) and function are those of who caused it; "" for none.

    `function` is the innermost; `blamed` the one that called the kernel's machinery, where that is another.
    """

    crash_class: CrashClass
    cpu: int | None
    task: tuple[str, int] | None
    function: str
    architecture: str = "x86_64"
    blamed: str = ""


CASES = {
    "double-fault-redhat8": Case(CrashClass.OOPS, 1, ("kworker/u4:1", 1227), "example_map"),
    "external-abort-arm64": Case(
        CrashClass.MACHINE_CHECK, 9, ("postgres", 4127), "xfs_buf_item_format", architecture="aarch64"
    ),
    "hung-task-mutex-of-a-file-system": Case(
        CrashClass.HUNG_TASK, 1, ("postgres", 2101), "__schedule", blamed="example_commit"
    ),
    "hung-task-mutex-of-the-network": Case(
        CrashClass.HUNG_TASK, 1, ("kworker/3:1", 455), "__schedule", architecture="", blamed="ena_fw_reset_device"
    ),
    "hung-task-nobody-named": Case(CrashClass.HUNG_TASK, 0, None, ""),
    "hung-tasks-cron-first": Case(
        CrashClass.HUNG_TASK, 1, ("jbd2/nvme1n1-8", 391), "__schedule", blamed="jbd2_journal_commit_transaction"
    ),
    "hung-tasks-journal-first": Case(
        CrashClass.HUNG_TASK, 1, ("jbd2/nvme1n1-8", 388), "__schedule", blamed="jbd2_journal_commit_transaction"
    ),
    "list-del-corruption": Case(
        CrashClass.BUG, 5, ("kworker/5:2", 812), "__list_del_entry_valid.cold", blamed="example_flow_expire"
    ),
    # What hung is another task than the idle one that the interrupt found.
    "nmi-on-idle-cpu-after-an-oops": Case(CrashClass.NMI_HANG, 0, ("containerd-shim", 2231), "example_queue_purge"),
    "nmi-on-idle-cpu-disk-stalled": Case(
        CrashClass.NMI_HANG, 0, ("jbd2/nvme1n1-8", 388), "__schedule", blamed="jbd2_journal_commit_transaction"
    ),
    "nmi-on-idle-cpu-network-reset": Case(
        CrashClass.NMI_HANG, 0, ("kworker/1:2", 901), "__schedule", blamed="ena_destroy_device"
    ),
    "oops-and-a-second-title": Case(CrashClass.OOPS, 2, ("swapper/2", 0), "find_busiest_group"),
    "out-of-memory-6.8-columns": Case(
        CrashClass.OUT_OF_MEMORY, 1, ("kubelet", 2210), "out_of_memory.cold", blamed="filemap_fault"
    ),
    "bug-in-softirq": Case(CrashClass.BUG, 0, ("swapper/0", 0), "example_clean_rx"),
    "general-protection-fault": Case(CrashClass.OOPS, 0, ("my app: (x) y", 5150), "fput"),
    "hard-lockup-redhat9": Case(
        CrashClass.HARD_LOCKUP, 1, ("kworker/1:2", 2050), "native_queued_spin_lock_slowpath", blamed="take_lock_twice"
    ),
    "hung-task": Case(CrashClass.HUNG_TASK, 1, ("postgres", 2101), "__schedule", blamed="ext4_buffered_write_iter"),
    "machine-check": Case(CrashClass.MACHINE_CHECK, 2, None, ""),
    "machine-check-arm64": Case(CrashClass.MACHINE_CHECK, 3, ("kworker/3:1", 610), "readl_relaxed", "aarch64"),
    "nmi-kernel-thread-x86_64": Case(CrashClass.NMI_HANG, 0, ("hang_me", 4211), "spin_with_interrupts_off"),
    "nmi-linux-6.12-real-guest": Case(CrashClass.NMI_HANG, 0, ("hangdump-spinne", 901), ""),
    "nmi-on-idle-cpu-soft-lockup-elsewhere": Case(
        CrashClass.NMI_HANG, 1, ("spin_no_sched", 1288), "spin_without_schedule"
    ),
    "nmi-redhat7": Case(CrashClass.NMI_HANG, 0, ("java", 9120), "queued_spin_lock_slowpath", blamed="example_xmit"),
    "nmi-user-space-real-guest": Case(CrashClass.NMI_HANG, 0, ("hangdump-spinne", 602), ""),
    "no-root": Case(CrashClass.PANIC, 0, ("swapper/0", 1), "mount_block_root"),
    "null-dereference": Case(CrashClass.NULL_DEREFERENCE, 1, ("bash", 1777), "write_through_null"),
    "null-dereference-arm64": Case(
        CrashClass.NULL_DEREFERENCE, 0, ("bash", 1502), "write_through_null", architecture="aarch64"
    ),
    "out-of-memory": Case(
        CrashClass.OUT_OF_MEMORY, 1, ("eater", 3001), "out_of_memory.cold", blamed="__handle_mm_fault"
    ),
    "page-fault-without-time-stamps": Case(CrashClass.PAGE_FAULT, 3, ("kswapd0", 77), "workingset_refault"),
    "rcu-stall": Case(CrashClass.RCU_STALL, 1, ("rcu_hog", 901), "hog_read_side"),
    "soft-lockup-arm64": Case(CrashClass.SOFT_LOCKUP, 1, ("hang_soft", 2301), "spin_without_schedule", "aarch64"),
    "soft-lockup-arm64-wrapped": Case(
        CrashClass.SOFT_LOCKUP, 1, ("hang_soft", 2301), "spin_without_schedule", architecture="aarch64"
    ),
    "soft-lockup-caller-ids-interleaved": Case(CrashClass.SOFT_LOCKUP, 1, ("hang_soft", 912), "spin_without_schedule"),
    "stack-overflow": Case(CrashClass.STACK_OVERFLOW, 0, ("bash", 1420), "recurse_for_ever"),
    "sysrq-c": Case(CrashClass.SYSRQ, 1, ("bash", 640), "sysrq_handle_crash"),
    "warnings-only": Case(CrashClass.UNKNOWN, None, None, ""),
    "watchdog": Case(CrashClass.WATCHDOG, 0, ("fio", 8100), "xfs_iomap_write_direct"),
    # Of a real Linux, trimmed, one for each way in which tests/guest/test_crash_classes.py crashes it.
    "bug-real-guest": Case(CrashClass.BUG, 1, ("hd-assertion", 1411), "hangdump_break_an_assertion"),
    "hung-task-real-guest": Case(
        CrashClass.HUNG_TASK, 1, ("hd-waiter", 1412), "__schedule", blamed="hangdump_wait_for_the_mutex"
    ),
    "nmi-hang-real-guest": Case(CrashClass.NMI_HANG, 0, ("hd-deaf", 1412), "hangdump_spin_with_interrupts_off"),
    "null-dereference-real-guest": Case(
        CrashClass.NULL_DEREFERENCE, 1, ("hd-null", 1411), "hangdump_follow_a_null_pointer"
    ),
    "out-of-memory-real-guest": Case(
        CrashClass.OUT_OF_MEMORY, 1, ("hd-eater", 1409), "out_of_memory.cold", blamed="hangdump_eat_all_memory"
    ),
    "page-fault-real-guest": Case(CrashClass.PAGE_FAULT, 1, ("hd-overrun", 1411), "hangdump_run_off_the_end"),
    "rcu-stall-real-guest": Case(CrashClass.RCU_STALL, 1, ("hd-reader", 1411), "hangdump_read_for_ever"),
    "soft-lockup-real-guest": Case(CrashClass.SOFT_LOCKUP, 1, ("hd-busy", 1412), "hangdump_spin_without_scheduling"),
    "stack-overflow-real-guest": Case(
        CrashClass.STACK_OVERFLOW, 1, ("hd-recursion", 1410), "hangdump_recurse_without_end"
    ),
    "sysrq-real-guest": Case(CrashClass.SYSRQ, 1, ("hd-sysrq", 1409), "sysrq_handle_crash"),
}


def read(name: str) -> str:
    """The log of that case."""
    return (LOGS / f"{name}.txt").read_text()
