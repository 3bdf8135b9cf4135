"""The sentence names the cause, and not who brought the news."""

import pytest

from lambdas.triage import CrashClass, triage
from tests.lambdas.report.incidents import crowd_log
from tests.lambdas.triage.triage_cases import read

PANIC = "[  900.5] Kernel panic - not syncing: {}\n"
WHO = "[  900.5] CPU: 1 PID: {} Comm: {} Not tainted 5.10.0-8-amd64 #1\n"
HUNG = """[  900.1] INFO: task {0}:{1} blocked for more than 122 seconds.
[  900.1] task:{0} state:D stack:0 pid:{1} ppid:2 flags:0x4000
[  900.1]  __schedule+0x27c/0x6b0
[  900.1]  schedule+0x33/0x110
"""


def frames(*names: str) -> str:
    return "[  900.2] Call Trace:\n" + "".join(f"[  900.2]  {name}+0x12/0x90\n" for name in names)


def test_a_fault_that_the_kernel_survived_is_told_with_the_hang() -> None:
    told = triage(read("nmi-on-idle-cpu-after-an-oops"))
    assert told.sentence == (
        "The machine hung: 301 s before, general protection fault in example_queue_purge [example_sec] of"
        " containerd-shim (pid 2231); kworker/2:1 (pid 88) had been blocked for 120 s in example_worker [example_sec];"
        " the interrupted CPU 0 was idle."
    )
    assert told.instruction_pointer is not None
    assert told.instruction_pointer.symbol == "native_safe_halt"


def test_the_blocked_task_is_the_cause_when_the_interrupt_found_an_idle_cpu() -> None:
    assert triage(read("nmi-on-idle-cpu-disk-stalled")).sentence == (
        "The machine hung: jbd2/nvme1n1-8 (pid 388) had been blocked for 120 s in jbd2_journal_commit_transaction"
        " [jbd2]; the interrupted CPU 0 was idle."
    )


def test_a_return_thunk_is_nobodys_doing() -> None:
    log = (
        PANIC.format("NMI: Not continuing")
        + WHO.format(1411, "spinner")
        + "[  900.5] RIP: 0010:srso_return_thunk+0x0/0x10\n"
        + "[  900.5] Call Trace:\n[  900.5]  <IRQ>\n[  900.5]  lapic_next_event+0x1c/0x30\n"
        + "[  900.5]  hrtimer_interrupt+0x11d/0x210\n[  900.5]  </IRQ>\n"
    )
    assert triage(log).sentence == "The machine hung: CPU 1 ran lapic_next_event in an interrupt."


def test_of_the_cpus_that_were_shown_the_one_that_does_not_wait_is_the_cause() -> None:
    assert triage(crowd_log(448)).sentence == (
        "The machine hung: CPU 211 ran example_hold of kworker/211:1 (pid 5211); 446 CPUs waited in dentry_unlink."
    )


def test_a_crash_in_a_softirq_is_not_that_of_the_task_it_interrupted() -> None:
    told = triage(read("oops-and-a-second-title"))
    assert told.sentence == "The kernel crashed on CPU 2 in find_busiest_group in an interrupt."


def test_a_softirq_on_the_idle_task_is_not_idle() -> None:
    log = (
        PANIC.format("NMI: Not continuing")
        + WHO.format(0, "swapper/1")
        + "[  900.2] RIP: 0010:example_poll+0x12/0x90 [example_net]\n[  900.2]  <IRQ>\n"
        + frames("net_rx_action", "__do_softirq", "irq_exit_rcu")
        + "[  900.2]  </IRQ>\n"
        + frames("asm_common_interrupt", "default_idle", "do_idle")
    )
    told = triage(log)
    assert told.sentence == "The machine hung: CPU 1 ran example_poll [example_net] in an interrupt."
    assert told.signature


@pytest.mark.parametrize(
    ("code", "cause"),
    [("00000007", "SIGBUS"), ("0000000b", "SIGSEGV"), ("00000009", "SIGKILL"), ("00000100", "exit status 1")],
)
def test_the_signal_that_killed_init_is_named(code: str, cause: str) -> None:
    log = PANIC.format(f"Attempted to kill init! exitcode=0x{code}") + WHO.format(1, "systemd")
    told = triage(log + frames("dump_stack", "panic", "do_exit", "do_group_exit", "get_signal"))
    assert told.sentence == (
        f"The first process, systemd (pid 1), was ended by {cause}, and the kernel cannot run without it."
    )
    assert told.signature not in ("", triage(log.replace(code, "00000004")).signature)
    assert told.blamed is None


def test_an_oops_of_init_is_the_cause_of_its_end() -> None:
    oops = "[  900.0] BUG: unable to handle page fault for address: ffffa2a2a2a2a2a2\n" + WHO.format(1, "systemd")
    log = oops + "[  900.2] RIP: 0010:example_read+0x12/0x90\n" + frames("vfs_read")
    log += PANIC.format("Attempted to kill init! exitcode=0x00000009")
    assert triage(log).crash_class == CrashClass.PAGE_FAULT


def test_who_likely_holds_the_lock_is_named_with_its_place() -> None:
    log = HUNG.format("cat", 211) + frames("schedule_preempt_disabled", "__mutex_lock", "example_read")
    log += "[  900.3] INFO: task cat:211 is blocked on a mutex likely owned by task dd:209.\n"
    log += "[  900.3] task:dd state:S stack:0 pid:209 ppid:2 flags:0x4000\n"
    log += frames("__schedule", "schedule", "example_sleep_with_the_mutex") + PANIC.format("hung_task: blocked tasks")
    assert triage(log).sentence == (
        "Hung task: cat (pid 211) was blocked for 122 s in example_read on a lock that dd (pid 209), in"
        " example_sleep_with_the_mutex, likely holds."
    )


def test_of_hung_tasks_the_holder_of_the_lock_comes_before_its_waiter() -> None:
    waiter = HUNG.format("cat", 211) + frames("__mutex_lock", "example_read")
    waiter += "[  900.1] INFO: task cat:211 is blocked on a mutex likely owned by task dd:209.\n"
    holder = HUNG.format("dd", 209) + frames("schedule_timeout", "example_wait_for_firmware")
    told = triage(waiter + holder + PANIC.format("hung_task: blocked tasks"))
    assert told.task is not None
    assert told.task.name == "dd"


def test_nobody_is_named_when_the_detector_named_nobody() -> None:
    told = triage(read("hung-task-nobody-named"))
    assert told.sentence == "Hung task: the kernel named no task, since kernel.hung_task_warnings was used up."


def test_a_wait_for_another_cpu_is_told_as_such() -> None:
    log = "[  900.1] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [java:777]\n" + WHO.format(777, "java")
    log += "[  900.2] RIP: 0010:smp_call_function_many_cond+0x12/0x90\n"
    log += frames("on_each_cpu_cond_mask", "flush_tlb_mm_range", "example_unmap")
    told = triage(log + PANIC.format("softlockup: hung tasks"))
    assert told.sentence == (
        "Soft lockup: CPU 1 ran nothing else for 26 s than smp_call_function_many_cond for flush_tlb_mm_range of java"
        " (pid 777), waiting for another CPU."
    )


@pytest.mark.parametrize(
    ("second", "culprit"), [("0033:0x7f12", "example_hold"), ("0010:example_b+0x1/0x2", "example_take")]
)
def test_who_spins_is_blamed_unless_one_cpu_alone_can_have_the_lock(second: str, culprit: str) -> None:
    log = "[  900.1] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [java:777]\n" + WHO.format(777, "java")
    log += "[  900.2] RIP: 0010:native_queued_spin_lock_slowpath+0x12/0x90\n" + frames("_raw_spin_lock", "example_take")
    for cpu, pointer in ((2, "0010:example_hold+0x1/0x2"), (3, second)):
        log += f"[  900.2] NMI backtrace for cpu {cpu}\n" + WHO.format(60 + cpu, "other").replace(
            "CPU: 1", f"CPU: {cpu}"
        )
        log += f"[  900.2] RIP: {pointer}\n"
    told = triage(log + PANIC.format("softlockup: hung tasks"))
    assert told.blamed is not None
    assert told.blamed.symbol == culprit


def test_a_warning_that_panics_is_blamed_on_who_was_warned_about() -> None:
    """Linux 4.13 to 5.x panics in the trap of the warning, before its stack is printed."""
    log = "[  900.1] WARNING: CPU: 1 PID: 42 at fs/example.c:33 example_put+0x12/0x90\n"
    log += PANIC.format("panic_on_warn set ...") + WHO.format(42, "mount")
    log += frames("dump_stack", "panic", "__warn.cold", "report_bug", "do_error_trap", "do_invalid_op", "invalid_op")
    log += "[  900.2] RIP: 0010:example_put+0x12/0x90 [example_fs]\n" + frames("example_kill_super")
    told = triage(log)
    assert (told.crash_class, told.blamed.symbol if told.blamed else "") == (CrashClass.BUG, "example_put")


def test_the_first_panic_counts() -> None:
    first = PANIC.format("NMI: Not continuing") + WHO.format(9, "java") + frames("example_spin")
    told = triage(
        first + PANIC.format("Fatal exception in interrupt") + WHO.format(7, "cron") + frames("example_other")
    )
    assert (told.crash_class, told.task.pid if told.task else None) == (CrashClass.NMI_HANG, 9)


@pytest.mark.parametrize(("at", "culprit"), [(899.0, "example_free_twice"), (500.0, "example_later")])
def test_a_bad_access_is_the_cause_of_an_oops_only_if_it_came_just_before(at: float, culprit: str) -> None:
    log = f"[  {at}] BUG: KASAN: slab-use-after-free in example_free_twice+0x12/0x90\n"
    log += WHO.format(61, "a").replace("900.5", str(at)) + frames("example_free_twice").replace("900.2", str(at))
    log += "[  900.1] general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP\n"
    log += WHO.format(62, "b") + "[  900.2] RIP: 0010:example_later+0x12/0x90\n" + PANIC.format("Fatal exception")
    told = triage(log)
    assert told.blamed is not None
    assert told.blamed.symbol == culprit


@pytest.mark.parametrize(("at", "name"), [(880.0, "jbd2"), (1.0, "cat")])
def test_a_task_that_the_detector_reports_no_more_is_not_blocked_any_more(at: float, name: str) -> None:
    """Unless it has used up its warnings, it reports at each check who is still blocked."""
    disk = HUNG.format("jbd2", 7).replace("900.1", str(at)) + frames("io_schedule", "example_commit")
    lock = HUNG.format("cat", 211) + frames("__mutex_lock", "example_read")
    told = triage(disk + lock + PANIC.format("hung_task: blocked tasks"))
    assert told.task is not None
    assert told.task.name == name


@pytest.mark.parametrize(
    "title",
    [
        "VERIFY3(0 == example_error) failed (0 == 5)\n[   80.0] PANIC at example.c:12:example_write()",
        "LustreError: 2101:0:(example.c:2017:example_release()) LBUG",
        "Unable to handle kernel paging request at virtual address dead000000000108",
        "divide error: 0000 [#1] PREEMPT SMP",
    ],
)
def test_a_fault_that_left_its_locks_behind_is_a_warning_and_in_the_sentence(title: str) -> None:
    fault = f"[   80.0] {title}\n[   80.1] CPU: 0 PID: 61 Comm: example Tainted: P OE 4.18.0-553.el8.x86_64 #1\n"
    fault += "[   80.2] Call Trace:\n[   80.2]  example_write+0x12/0x90 [example]\n"
    log = (
        fault
        + HUNG.format("cat", 211)
        + frames("__mutex_lock", "example_read")
        + PANIC.format("hung_task: blocked tasks")
    )
    told = triage(log)
    assert any(title.split("\n", maxsplit=1)[0] in each.text for each in told.warnings)
    assert "820 s before, " in told.sentence
    assert "in example_write [example] of example (pid 61)" in told.sentence


def test_where_idle_cpus_stall_the_cpu_that_keeps_rcus_thread_waiting_is_the_cause() -> None:
    log = "[  900.1] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n[  900.1] rcu: \t0-...!: (0 ticks this GP)\n"
    log += (
        "[  900.1] rcu: rcu_sched kthread starved for 15002 jiffies! g7 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=4\n"
    )
    for cpu, pid, name, symbol in ((0, 0, "swapper/0", "default_idle"), (6, 60, "tar", "copy"), (4, 61, "java", "hog")):
        log += f"[  900.2] NMI backtrace for cpu {cpu}\n" + WHO.format(pid, name).replace("CPU: 1", f"CPU: {cpu}")
        log += f"[  900.2] RIP: 0010:{symbol}+0x12/0x90\n"
    told = triage(log + PANIC.format("RCU Stall"))
    assert (told.crashing_cpu, told.blamed.symbol if told.blamed else "") == (4, "hog")


def test_the_stalled_cpu_of_red_hat_7_is_in_the_title() -> None:
    log = "[  900.1] INFO: rcu_sched detected stalls on CPUs/tasks: { 3} (detected by 0, t=60002 jiffies, g=7)\n"
    log += "[  900.1] Task dump for CPU 3:\n"
    log += "[  900.1] java            R  running task        0  9120      1 0x00000008\n" + frames("example_read_side")
    log += PANIC.format("RCU Stall").replace("\n", "\n\n") + WHO.format(0, "swapper/0").replace("CPU: 1", "CPU: 0")
    told = triage(log)
    assert (told.crashing_cpu, told.task.pid if told.task else None) == (3, 9120)
