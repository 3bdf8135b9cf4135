"""What is read from a kernel's log, whatever printk, a console or syslog made of it."""

import re

import pytest

from lambdas.triage import CrashClass, Triage, triage
from tests.lambdas.consoles import ARM_BEFORE, ARM_CRASH_KERNEL
from tests.lambdas.triage.triage_cases import CASES, LOGS, Case, read

# Each class, each form of a report, both architectures: what a log came through changes nothing else.
IN_EVERY_FORMAT = (
    *("bug-in-softirq", "double-fault-redhat8", "external-abort-arm64", "general-protection-fault", "hung-task"),
    *("hard-lockup-redhat9", "hung-task-mutex-of-the-network", "machine-check", "nmi-kernel-thread-x86_64"),
    *("nmi-on-idle-cpu-after-an-oops", "nmi-redhat7", "nmi-user-space-real-guest", "no-root", "null-dereference-arm64"),
    *("out-of-memory-6.8-columns", "page-fault-without-time-stamps", "rcu-stall", "rcu-stall-redhat7-of-another-cpu"),
    *("soft-lockup-arm64-wrapped", "soft-lockup-caller-ids-interleaved", "stack-overflow", "sysrq-c", "warnings-only"),
    *("watchdog", "hung-task-rtnl-lock-arm64", "title-behind-a-login-prompt", "warning-that-panics-redhat8"),
)

STAMP = re.compile(r"^\[ *\d+\.\d+\]( ?\[ *[TC]\d+\])? ?", re.MULTILINE)


def restamp(log: str, stamp: str) -> str:
    """With another time stamp, except where a caller's id follows; `{at}` is printk's own."""
    own = re.compile(r"(?m)^(?P<at>\[ *\d+\.\d+\]) (?! *\[ *[TC]\d)")
    return own.sub(lambda found: stamp.format(at=found["at"]), log)


def function(told: Triage) -> str:
    """The innermost function."""
    return told.call_trace[0].symbol if told.call_trace else ""


def assert_told(told: Triage, case: Case) -> None:
    task = (told.task.name, told.task.pid) if told.task else None
    assert (told.crash_class, told.crashing_cpu, task) == (case.crash_class, case.cpu, case.task)
    assert (function(told), told.architecture) == (case.function, case.architecture)
    assert (told.blamed.symbol if told.blamed else "") == case.to_blame


def test_every_log_of_the_corpus_has_an_answer() -> None:
    assert {path.stem for path in LOGS.glob("*.txt")} == CASES.keys()
    # What no log can show: nothing else is left out.
    assert {case.crash_class for case in CASES.values()} == set(CrashClass)


@pytest.mark.parametrize("name", CASES)
def test_names_class_cpu_task_and_function(name: str) -> None:
    assert_told(triage(read(name)), CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_the_sentence_says_what_the_log_shows_and_no_more(name: str) -> None:
    case, told = CASES[name], triage(read(name))
    assert [phrase for phrase in case.says if phrase not in told.sentence] == []
    assert [phrase for phrase in case.lacks if phrase in told.sentence] == []
    assert [text for text in case.warns if not any(text in warning.text for warning in told.warnings)] == []


@pytest.mark.parametrize("name", IN_EVERY_FORMAT)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda log: log.replace("\n", "\r\n"), id="from-a-serial-console"),
        pytest.param(lambda log: re.sub("(?m)^", "<4>", log), id="with-levels"),
        pytest.param(lambda log: re.sub("(?m)^(?=.)", "Nov 23 10:57:58 ip-10-0-2-15 kernel: ", log), id="from-syslog"),
        pytest.param(lambda log: restamp(log, "{at} host kernel: "), id="journald-short-monotonic"),
        pytest.param(lambda log: restamp(log, "Nov 23 10:57:58.123456 host kernel: "), id="journald-short-precise"),
        pytest.param(lambda log: restamp(log, "Mon 2026-11-23 10:57:58 UTC host kernel: "), id="journald-short-full"),
        pytest.param(lambda log: restamp(log, "2026-11-23T10:57:58,123456+00:00 "), id="dmesg-iso"),
        pytest.param(lambda log: restamp(log, "[Nov23 10:57] "), id="dmesg-reltime"),
        pytest.param(lambda log: re.sub(r"(?m)^(\[ *\d+\.\d+)", r"\1 <    0.000012>", log), id="dmesg-delta"),
        pytest.param(lambda log: re.sub(r"(?m)^(?=\[)", "kern  :info  : ", log), id="dmesg-decoded"),
        pytest.param(lambda log: f"\udcff\x00\x1b[0;31m\n{log}\udcfe", id="with-bytes-that-are-no-text"),
        pytest.param(lambda log: f"ip-10-0-2-15 login: {log}", id="behind-a-login-prompt"),
    ],
)
def test_says_the_same_however_the_log_came(name: str, change: "object") -> None:
    assert callable(change)
    assert_told(triage(change(read(name))), CASES[name])


@pytest.mark.parametrize("name", [name for name in IN_EVERY_FORMAT if "interleaved" not in name])
def test_needs_no_time_stamps(name: str) -> None:
    assert_told(triage(STAMP.sub("", read(name))), CASES[name])


@pytest.mark.parametrize("name", IN_EVERY_FORMAT)
def test_reads_the_records_of_dev_kmsg(name: str) -> None:
    records = []
    for number, line in enumerate(read(name).splitlines()):
        stamp = re.match(r"\[ *(\d+)\.(\d+)\](?: ?\[ *([TC]\d+)\])? ?", line)
        if stamp is None:
            continue
        caller = f",caller={stamp[3]}" if stamp[3] else ""
        records.append(f"4,{number},{stamp[1]}{stamp[2]:0<6},-{caller};{line[stamp.end() :]}\n SUBSYSTEM=pci\n")
    if records:
        assert_told(triage("".join(records)), CASES[name])


def test_tells_all_of_a_hang() -> None:
    told = triage(read("nmi-kernel-thread-x86_64"))
    assert told.panic_message == "Kernel panic - not syncing: NMI: Not continuing"
    assert told.sentence == "The machine hung: CPU 0 ran spin_with_interrupts_off [hang_me] of hang_me (pid 4211)."
    assert (told.kernel_release, told.uptime_seconds) == ("6.1.0-56-cloud-amd64", 842.118304)
    assert (told.taint, told.hardware) == ("G OE", "Amazon EC2 m6i.large/, BIOS 1.0 10/16/2017")
    assert told.instruction_pointer is not None
    where = told.instruction_pointer
    assert (where.symbol, where.offset, where.size, where.module) == (function(told), 0x2B, 0x40, "hang_me")
    sure = [frame.symbol for frame in told.call_trace if frame.is_reliable]
    assert sure == ["spin_with_interrupts_off", "hang_thread", "kthread", "ret_from_fork"]
    assert not told.is_truncated


def test_shows_what_every_cpu_did() -> None:
    told = triage(read("nmi-user-space-real-guest"))
    assert [(cpu.cpu, cpu.task.name, cpu.task.pid, cpu.symbol) for cpu in told.cpus] == [
        (0, "hangdump-spinne", 602, ""),
        (1, "hangdump-spinne", 606, ""),
    ]
    assert told.instruction_pointer is not None
    assert told.instruction_pointer.is_user_space
    assert told.call_trace == ()


def test_an_interrupt_that_found_an_idle_cpu_does_not_hide_who_hangs() -> None:
    told = triage(read("nmi-on-idle-cpu-soft-lockup-elsewhere"))
    assert told.sentence.endswith("CPU 1 ran spin_without_schedule [hang_me] of spin_no_sched (pid 1288) for 26 s.")
    assert [cpu.symbol for cpu in told.cpus] == ["native_safe_halt", "spin_without_schedule"]
    assert told.modules[:3] == ("hang_me", "xfs", "libcrc32c")


def test_blocked_tasks_come_with_their_stacks_the_longest_first() -> None:
    first, second = triage(read("hung-task")).blocked_tasks
    assert (first.name, first.pid, first.state, first.blocked_seconds) == ("postgres", 2101, "D", 241)
    assert first.call_trace[3].symbol == "rwsem_down_write_slowpath"
    assert (second.name, second.blocked_seconds) == ("jbd2/nvme1n1p1-", 120)
    assert "jbd2_journal_commit_transaction" in [frame.symbol for frame in second.call_trace]


def test_a_lock_that_was_waited_for_is_not_blamed_for_it() -> None:
    ran = "it ran native_queued_spin_lock_slowpath for take_lock_twice [hang_me] of kworker/1:2 (pid 2050)."
    assert triage(read("hard-lockup-redhat9")).sentence.endswith(ran)
    blocked = "Hung task: postgres (pid 2101) was blocked for 241 s in ext4_buffered_write_iter [ext4], and 1 more."
    assert triage(read("hung-task")).sentence == blocked


def test_sysrq_w_shows_blocked_tasks_too() -> None:
    shown = "sysrq: Show Blocked State\ntask:cat  state:D stack:0 pid:9 ppid:1 flags:0x0\n io_schedule+0x42/0x70\n"
    (task,) = triage(shown).blocked_tasks
    assert (task.name, task.pid, task.blocked_seconds) == ("cat", 9, None)


def test_warnings_before_the_end_are_kept_once() -> None:
    told = triage(read("warnings-only"))
    assert [(warning.at, warning.text[:30]) for warning in told.warnings] == [
        (10.1, "WARNING: CPU: 1 PID: 42 at fs/"),
        (20.0, "blk_update_request: I/O error,"),
        (20.2, "blk_update_request: I/O error,"),
    ]


def test_memory_is_read_from_the_out_of_memory_killers_words() -> None:
    memory = triage(read("out-of-memory")).memory
    assert memory is not None
    assert (memory.total_bytes, memory.free_bytes) == (261998 * 4096, 12044 * 4096)
    assert memory.anonymous_bytes == (120 + 221455) * 4096
    largest = memory.processes[0]
    assert (largest.name, largest.pid, largest.rss_bytes) == ("eater", 3001, 219800 * 4096)


def test_memory_of_a_real_kernel_is_counted_once() -> None:
    """Its log counts each zone beside the node: 1 GiB, of which the firmware keeps a little."""
    told = triage(read("out-of-memory-real-guest"))
    assert told.memory is not None
    assert (told.memory.total_bytes, told.memory.free_bytes) == (262003 * 4096, 9570 * 4096)
    # The kernel itself had it.
    assert told.sentence.endswith("; the largest process, systemd-udevd (pid 191), had 1 of 1023 MiB.")


def test_pages_of_64_kib_are_counted_as_such() -> None:
    log = read("out-of-memory").replace("active_anon:480kB inactive_anon:885820kB", "active_anon:7680kB")
    memory = triage(log).memory
    assert memory is not None
    assert memory.free_bytes == 12044 * 65536


def test_a_line_behind_the_row_of_a_process_is_not_its_name() -> None:
    told = triage(
        "[  9.1] eater invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0\n"
        "[  9.2] Mem-Info:\n"
        "[  9.3] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n"
        f"[  9.4] [    600]     0   600   100000    90000   800000        0             0 eater{' and more' * 60}\n"
        "[  9.5] Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled\n"
    )
    assert told.memory is not None
    (process,) = told.memory.processes
    assert process.name.startswith("eater and more")
    assert len(process.name) == 64


def test_a_wrapped_log_is_said_to_be_truncated() -> None:
    assert triage(read("soft-lockup-arm64-wrapped")).is_truncated
    assert triage(read("sysrq-c")[:-20]).is_truncated


def test_the_console_fills_what_a_wrapped_log_has_lost() -> None:
    banner = "[    0.0] Linux version 6.1.9-1.x86_64 (builder) #1 SMP\n[    0.0] DMI: Amazon EC2 c5.large/, BIOS 1.0\n"
    told = triage("[  9.1] Kernel panic - not syncing: NMI: Not continuing\n", console=banner)
    assert (told.kernel_release, told.hardware) == ("6.1.9-1.x86_64", "Amazon EC2 c5.large/, BIOS 1.0")


def test_the_crash_kernels_own_boot_is_not_taken_for_the_crashed_one() -> None:
    boot = "[    0.000000] Linux version {} (builder) #1 SMP\n[    0.000000] Command line: ro {}\n"
    console = boot.format("6.1.9-crashed", "") + boot.format("6.1.9-crash-kernel", "elfcorehdr=0x6b000000")
    assert triage("", console=console + boot.format("6.1.9-after", "")).kernel_release == "6.1.9-crashed"


def test_the_crash_kernel_of_arm64_is_not_taken_for_the_crashed_boot() -> None:
    crashed = ARM_BEFORE.replace("6.1.0-28", "6.1.0-27")
    assert triage("", console=crashed + ARM_CRASH_KERNEL).kernel_release == "6.1.0-27-cloud-arm64"


def test_a_function_that_only_follows_panics_caller_in_memory_is_not_blamed() -> None:
    """arm64: the call of panic() is the caller's last instruction, so the return address is the next function's."""
    told = triage(
        "[  300.1] Kernel panic - not syncing: example: out of slots\n"
        "[  300.1] CPU: 0 PID: 600 Comm: exampled Not tainted 6.1.0-28-cloud-arm64 #1  Debian 6.1.119-1\n"
        "[  300.1] Call trace:\n"
        "[  300.1]  dump_stack_lvl+0x64/0x80\n"
        "[  300.1]  panic+0x178/0x36c\n"
        "[  300.1]  example_follows_in_memory+0x0/0xa0\n"
        "[  300.1]  example_take_slot+0x8c/0x1a0\n"
    )
    assert told.blamed is not None
    assert told.blamed.symbol == "example_take_slot"


def test_knows_nothing_of_an_empty_log() -> None:
    told = triage("")
    assert told == Triage()
    assert told.as_json()["crashClass"] == "unknown"


def test_triage_json_can_be_read_again() -> None:
    told = triage(read("hung-task"))
    assert Triage.model_validate_json(told.model_dump_json(by_alias=True)) == told
