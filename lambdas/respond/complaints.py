"""The lines in which the kernel tells of a lockup, an RCU stall or a hung task, and which of them are of now. Pure.

console_facts.py finds the lines of the last boot; proof_rules.py judges what is counted here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lambdas.runtime.moment import CLOCK_SLACK_SECONDS

# BUG: soft lockup - CPU#0 stuck for 67s! [cc1:4711], behind "watchdog: ", "NMI watchdog: " or nothing
# Watchdog detected hard LOCKUP on cpu 1, behind "watchdog: CPU2: ", "NMI watchdog: " or nothing
# INFO: rcu_sched self-detected stall on CPU { 1} (3.10) · INFO: rcu_sched_state detected stall on CPU 1 (2.6.32)
# rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-... } · INFO: RCU detected CPU 1 stall
# rcu: rcu_preempt kthread starved for 5250 jiffies! · rcu_sched kthread starved for 2101 jiffies!
# "rcu_tasks detected stalls on tasks" is none: one task has not slept for ten minutes.
LOCKUP = re.compile(
    r"BUG: soft lockup - CPU#\d+ stuck|Watchdog detected hard LOCKUP"
    r"|rcu_\w{1,32} (?:self-)?detected (?:expedited )?stalls? on CPU|RCU detected CPU \w{1,10}"
    r"|rcu_\w{1,32} kthread starved"
)
# INFO: task jbd2/nvme0n1p1-8:211 blocked for more than 120 seconds. · since 6.17 also "blocked in I/O wait for more"
HUNG_TASK = re.compile(
    r"INFO: task (?P<task>[^\n]{1,40}:\d{1,10}) blocked (?:in I/O wait )?for more than (?P<seconds>\d{1,9}) seconds"
)
# One report has several lines, and each locked up CPU its own; the next report comes after 20 s or more.
_REPORT_SECONDS = 10
# khungtaskd reports all tasks of a scan at once; scans are at least this far apart.
_SCAN_SECONDS = 30
# The kernel repeats a lockup after 20 to 120 s, an RCU stall after 183 s: after this silence the trouble was over.
RUN_SECONDS = 300
# The guest's clock dates its boot, and printk counts from there without correction: both may be off, either way.
GUEST_CLOCK_SECONDS = 2 * CLOCK_SLACK_SECONDS
# A fast oscillator gains this part of the uptime.
_DRIFT = 1e-4


@dataclass(frozen=True)
class Complaint:
    """One such line, in seconds since the boot. `task` empty: a lockup or a stall."""

    seconds: int
    task: str = ""
    # How long the task had been blocked by then.
    blocked_seconds: int = 0


@dataclass(frozen=True)
class Trouble:
    """What the kernel says of one hang, and when at the earliest it said that first and last; 0: never."""

    lockups: int = 0
    hung_tasks: int = 0
    hung_task_scans: int = 0
    began_epoch: int = 0
    last_epoch: int = 0


def current_trouble(
    complaints: Iterable[Complaint], *, booted_epoch: int, last_ping_epoch: int, now_epoch: int
) -> Trouble:
    """Counts the last run of complaints since the agent's last ping.

    A ping shows that user space lived, and a long silence of the kernel that the trouble was over: what was said before
    either is of another trouble. What is on the console has been said: a clock that is ahead of now by no more than it
    can have gained is set back. What it says to be later is not counted.
    """
    uptime = now_epoch - booted_epoch
    latest = uptime + GUEST_CLOCK_SECONDS + round(uptime * _DRIFT)
    said = sorted((each for each in complaints if each.seconds <= latest), key=lambda complaint: complaint.seconds)
    ahead = max(0, said[-1].seconds - uptime) if said else 0
    earliest = last_ping_epoch - CLOCK_SLACK_SECONDS - booted_epoch
    run: list[Complaint] = []
    for each in (replace(each, seconds=each.seconds - ahead) for each in said):
        if each.seconds < earliest:
            continue
        # A task that has been blocked for longer was blocked all the while.
        if run and each.seconds - run[-1].seconds > max(RUN_SECONDS, each.blocked_seconds):
            run = []
        run.append(each)
    if not run:
        return Trouble()
    return Trouble(
        lockups=_count((each.seconds for each in run if not each.task), apart_seconds=_REPORT_SECONDS),
        hung_tasks=len({each.task for each in run if each.task}),
        hung_task_scans=_count((each.seconds for each in run if each.task), apart_seconds=_SCAN_SECONDS),
        began_epoch=booted_epoch + run[0].seconds,
        last_epoch=booted_epoch + run[-1].seconds,
    )


def _count(times: Iterable[int], *, apart_seconds: int) -> int:
    """How many reports the lines make, which come in the order of time."""
    count, reported = 0, 0
    for at in times:
        if count == 0 or at - reported >= apart_seconds:
            count, reported = count + 1, at
    return count
