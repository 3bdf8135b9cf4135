"""Finds the report that shows a hang: of a lockup, an RCU stall, an oops or a blocked task. Pure."""

import re

from lambdas.triage import titles
from lambdas.triage.blame import is_idle, is_waiting
from lambdas.triage.exception_trace import exception_trace
from lambdas.triage.find_blocked_task import HANG_SECONDS, Wait, wait_to_blame
from lambdas.triage.printk import Line
from lambdas.triage.reports import Report, last_of

# rcu: 	1-....: (5249 ticks this GP) idle=74c/1/0x4000000000000000 softirq=8041/8041 fqs=2576
_STALLED_CPU = re.compile(r"(?:rcu: )?\s{0,8}(\d{1,5})-[.!oOS?D]{1,8}[:!]")
# rcu: 	Tasks blocked on level-0 rcu_node (CPUs 0-3): P4120 P811/1:b..l
_READERS = re.compile(
    r"(?:rcu: )?\s{0,8}Tasks blocked on level-\d+ rcu_node \(CPUs [\d-]{1,12}\): (?P<readers>.{1,300})"
)
_STALL_LINES = 40
_IDLE = re.compile(r"swapper(?:/\d+)?")


def report_of_the_hang(before: list[Report], panic: Report, lines: list[Line], *, oops: Report | None) -> Report:
    """The interrupt reaches one CPU. If that was idle, another report may show what hung: a lockup, a stall, the oops
    of a task that never gave its locks back, or the task that others wait for."""
    if not _is_idle(panic):
        return panic
    recent = [each for each in before if each.at is None or panic.at is None or panic.at - each.at <= HANG_SECONDS]
    for kind in (titles.HARD_LOCKUP, titles.SOFT_LOCKUP):
        found = report_of_the_hard_lockup(recent) if kind == titles.HARD_LOCKUP else last_of(recent, kind)
        if found is not None and found.is_begun:
            return found
    stalled = report_of_the_stall(recent, lines)
    if stalled is not None and not _is_idle(stalled):
        return stalled
    blocked = wait_to_blame(before, panic, lines)
    if oops is not None and oops.is_begun and not (blocked and _is_apart(blocked, oops)):
        return oops
    # Of the CPUs that sysrq-l or the like showed: one that does not just wait for another.
    busy = [each for each in recent if each.has(titles.NMI_BACKTRACE) and each.task and not _is_idle(each)]
    if busy:
        return min(busy, key=lambda each: is_waiting(exception_trace(each, is_interruption=True).trace))
    return blocked.report if blocked else panic


def _is_apart(blocked: Wait, oops: Report) -> bool:
    """Whether a device stopped to answer long after the oops. The task that died may have had a lock, of which the
    others took no notice for a day; requests to a device come all the time."""
    return blocked.is_for_device and oops.at is not None and blocked.began - oops.at > HANG_SECONDS


def report_of_the_hard_lockup(before: list[Report]) -> Report | None:
    locked = last_of(before, titles.HARD_LOCKUP)
    if locked is None:
        return None
    title = locked.has(titles.HARD_LOCKUP)
    cpu = title.cpu if title else None
    # The buddy detector (Linux 6.5) reports from another CPU; the right trace is the backtrace that it requested.
    requested = [
        each for each in before if each.index > locked.index and each.has(titles.NMI_BACKTRACE) and each.cpu == cpu
    ]
    own = locked.task is not None and locked.cpu == cpu
    return locked if own or not requested else requested[-1]


def report_of_the_stall(before: list[Report], lines: list[Line]) -> Report | None:
    """The stalled CPU's backtrace; a self-detected stall's report has it itself."""
    stall = last_of(before, titles.RCU_STALL)
    if stall is None:
        return None
    title = stall.has(titles.RCU_STALL)
    cpus = _stalled_cpus(stall, lines) | {int(each) for each in (title.detail if title else "").split()}
    later = [each for each in before if each.index > stall.index and each.has(titles.NMI_BACKTRACE) and each.task]
    named = [each for each in later if each.cpu in cpus]
    if named:
        return named[0]
    if title and "self-detected" in title.text and stall.is_begun:
        return stall
    preempted = _preempted_reader(stall, before, lines)
    return preempted or next((each for each in later if not _is_idle(each)), None)


def _preempted_reader(stall: Report, before: list[Report], lines: list[Line]) -> Report | None:
    """On a kernel that preempts readers, the one that lets no grace period end may be on no CPU."""
    said = [found["readers"] for line in _near(stall, lines) if (found := _READERS.match(line.text)) is not None]
    pids = {int(pid) for pid in re.findall(r"\bP(\d{1,10})", " ".join(said))}
    shown = (each for each in before if each.index >= stall.index and each.state and each.task is not None)
    return next((each for each in shown if each.task is not None and each.task.pid in pids), None)


def _near(stall: Report, lines: list[Line]) -> list[Line]:
    return lines[stall.index + 1 : stall.index + 1 + _STALL_LINES]


def _stalled_cpus(stall: Report, lines: list[Line]) -> set[int]:
    near = _near(stall, lines)
    return {int(found[1]) for line in near if (found := _STALLED_CPU.match(line.text)) is not None}


def _is_idle(report: Report) -> bool:
    """Whether its CPU had nothing to do. In a softirq the idle task is only who was interrupted."""
    if report.task is None or report.task.pid != 0 or not _IDLE.fullmatch(report.task.name):
        return False
    trace = exception_trace(report, is_interruption=True).trace
    return not trace or is_idle(trace)
