"""Which of the kernel's words speak of a hang, and which of them are of the hang of now."""

import pytest

from lambdas.respond.complaints import HUNG_TASK, LOCKUP, Complaint, Trouble, current_trouble

BOOTED = 1_795_000_000


def trouble(*complaints: Complaint, now: int, pinged: int = 0) -> Trouble:
    """Times in seconds after the boot."""
    return current_trouble(complaints, booted_epoch=BOOTED, last_ping_epoch=BOOTED + pinged, now_epoch=BOOTED + now)


def counted(*complaints: Complaint, now: int, pinged: int = 0) -> tuple[int, ...]:
    """Lockups, hung tasks, scans, and the seconds of the first and the last word."""
    found = trouble(*complaints, now=now, pinged=pinged)
    times = (found.began_epoch, found.last_epoch)
    return (found.lockups, found.hung_tasks, found.hung_task_scans, *(max(0, at - BOOTED) for at in times))


def lockups(*seconds: int) -> list[Complaint]:
    return [Complaint(at) for at in seconds]


def hung(*seconds: int, tasks: str = "abc", blocked: int = 120) -> list[Complaint]:
    return [Complaint(at, f"{task}:1", blocked) for at in seconds for task in tasks]


DAYS = 864_000
YEAR = 31_536_000


@pytest.mark.parametrize(
    ("said", "now", "pinged", "words"),
    [
        pytest.param(lockups(900, 920), 930, 800, (2, 0, 0, 900, 920), id="two-lockups"),
        pytest.param(lockups(900, 901), 930, 800, (1, 0, 0, 900, 901), id="two-lines-of-one-report"),
        pytest.param(hung(900, 1021), 1030, 800, (0, 3, 2, 900, 1021), id="three-tasks-in-two-scans"),
        pytest.param(hung(900), 930, 800, (0, 3, 1, 900, 900), id="one-scan"),
        pytest.param(
            [*lockups(900), *lockups(DAYS, DAYS + 20)],
            DAYS + 25,
            DAYS - 300,
            (2, 0, 0, DAYS, DAYS + 20),
            id="one-lockup-ten-days-before",
        ),
        pytest.param(
            [*hung(900), *lockups(DAYS, DAYS + 20)], DAYS + 25, 0, (2, 0, 0, DAYS, DAYS + 20), id="and-no-ping-between"
        ),
        pytest.param(hung(900, 1021, 1142), 1300, 1000, (0, 3, 2, 1021, 1142), id="pings-go-on-for-a-while"),
        pytest.param(lockups(900, 920), 1000, 990, (0, 0, 0, 0, 0), id="pinged-since"),
        pytest.param(lockups(900, 920), 1000, 960, (2, 0, 0, 900, 920), id="pinged-in-the-same-minute"),
        pytest.param(lockups(900, 1200), 1201, 800, (2, 0, 0, 900, 1200), id="five-minutes-apart"),
        pytest.param(lockups(900, 1201), 1202, 800, (1, 0, 0, 1201, 1201), id="further-apart"),
        pytest.param(hung(900, 1500, blocked=600), 1510, 800, (0, 3, 2, 900, 1500), id="scans-every-ten-minutes"),
        pytest.param(lockups(900, 920), 800, 700, (2, 0, 0, 780, 800), id="guest-clock-is-ahead"),
        pytest.param(
            lockups(YEAR + 1580, YEAR + 1600), YEAR, YEAR - 300, (2, 0, 0, YEAR - 20, YEAR), id="gained-in-a-year"
        ),
        pytest.param(lockups(YEAR + 4000), YEAR, YEAR - 300, (0, 0, 0, 0, 0), id="gained-more-than-a-clock-can"),
        pytest.param(lockups(900, 920, 999_999_999), 930, 800, (2, 0, 0, 900, 920), id="a-word-of-the-future"),
        pytest.param([], 930, 800, (0, 0, 0, 0, 0), id="nothing"),
    ],
)
def test_counts_what_was_said_of_the_hang_of_now(
    said: list[Complaint], now: int, pinged: int, words: tuple[int, ...]
) -> None:
    assert counted(*said, now=now, pinged=pinged) == words


@pytest.mark.parametrize(
    "line",
    [
        # 2.6.32 and 3.10: Enterprise Linux 6 and 7
        "BUG: soft lockup - CPU#2 stuck for 67s! [cc1:4711]",
        "INFO: rcu_sched_state detected stall on CPU 1 (t=60000 jiffies)",
        "INFO: rcu_sched self-detected stall on CPU { 1}  (t=60001 jiffies g=5 c=4 q=24)",
        "INFO: rcu_sched detected stalls on CPUs/tasks: { 1} (detected by 0, t=60002 jiffies, g=5, c=4, q=24)",
        "INFO: rcu_bh self-detected stall on CPU { 0}  (t=0 jiffies g=4294967 c=4294966 q=11)",
        # 4.4 to 4.18: Ubuntu 16.04, Amazon Linux 2
        "NMI watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [java:4711]",
        "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1",
        "INFO: rcu_sched self-detected stall on CPU",
        "INFO: rcu_preempt self-detected stall on CPU",
        "INFO: rcu_preempt detected stalls on CPUs/tasks:",
        "INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... } 21 jiffies s: 97 root: 0x2/.",
        "rcu_sched kthread starved for 2101 jiffies! g36 c35 f0x0 RCU_GP_WAIT_FQS(3) ->state=0x0",
        # since 4.19
        "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [spin:777]",
        "watchdog: CPU2: Watchdog detected hard LOCKUP on cpu 1",
        "rcu: INFO: rcu_sched self-detected stall on CPU",
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-...D } 5 jiffies s: 97 root: 0x2/.",
        "rcu: rcu_preempt kthread starved for 5254 jiffies! g25249 f0x2 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=1",
    ],
)
def test_a_lockup_or_a_stall_is_known_in_every_kernels_words(line: str) -> None:
    assert LOCKUP.search(f"[  900.000000] {line}")
    assert LOCKUP.search(f"[  900.000000][    C1] {line}")


@pytest.mark.parametrize(
    ("line", "task", "seconds"),
    [
        ("INFO: task jbd2/nvme1n1-8:211 blocked for more than 120 seconds.", "jbd2/nvme1n1-8:211", "120"),
        ("INFO: task kworker/3:1:455 blocked for more than 122 seconds.", "kworker/3:1:455", "122"),
        ("INFO: task dd:700 blocked in I/O wait for more than 120 seconds.", "dd:700", "120"),
    ],
)
def test_a_hung_task_is_known_in_every_kernels_words(line: str, task: str, seconds: str) -> None:
    found = HUNG_TASK.search(f"[  900.000000] {line}")
    assert found is not None
    assert (found["task"], found["seconds"]) == (task, seconds)


@pytest.mark.parametrize(
    "line",
    [
        "Kernel panic - not syncing: softlockup: hung tasks",
        "rcu: INFO: rcu_tasks detected stalls on tasks:",
        "rcu: RCU grace-period kthread stack dump:",
        "INFO: task dd:700 is blocked on a mutex likely owned by task sync:701.",
        "INFO: lockdep is turned off.",
        "NMI backtrace for cpu 1",
        "rcu: Hierarchical SRCU implementation.",
        "workqueue: drm_fb_helper_damage_work hogged CPU for >10000us 4 times",
    ],
)
def test_other_words_are_no_complaint(line: str) -> None:
    assert LOCKUP.search(line) is None
    assert HUNG_TASK.search(line) is None
