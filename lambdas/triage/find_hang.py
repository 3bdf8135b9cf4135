"""Finds the report that shows a hang: of a lockup, an RCU stall, an oops or a blocked task. Pure."""

import re

from lambdas.triage import titles
from lambdas.triage.blame import blamed_frame, is_idle, is_waiting
from lambdas.triage.exception_trace import exception_trace
from lambdas.triage.find_blocked_task import HANG_SECONDS, Wait, wait_to_blame
from lambdas.triage.find_stuck_work import report_of_the_stuck_work
from lambdas.triage.model import Frame
from lambdas.triage.printk import Line
from lambdas.triage.reports import Report, last_of

# rcu: 	1-....: (5249 ticks this GP) idle=74c/1/0x4000000000000000 softirq=8041/8041 fqs=2576
_STALLED_CPU = re.compile(r"(?:rcu: )?\s{0,8}(\d{1,5})-[.!oOS?D]{1,8}[:!]")
# rcu: 	Tasks blocked on level-0 rcu_node (CPUs 0-3): P4120 P811/1:b..l
_READERS = re.compile(
    r"(?:rcu: )?\s{0,8}Tasks blocked on level-\d+ rcu_node \(CPUs [\d-]{1,12}\): (?P<readers>.{1,300})"
)
# rcu: rcu_sched kthread starved for 15002 jiffies! g204841 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x402 ->cpu=4
_STARVED = re.compile(r"->cpu=(\d{1,5})")
_STALL_LINES = 40
# A CPU that stays locked up is reported again within this time: twice the longest kernel.watchdog_thresh.
_REPEAT_SECONDS = 120
_IDLE = re.compile(r"swapper(?:/\d+)?")


def report_of_the_hang(before: list[Report], panic: Report, lines: list[Line], *, oops: Report | None) -> Report:
    """The interrupt reaches one CPU. If that was idle, another report may show what hung: a lockup, a stall, the oops
    of a task that never gave its locks back, or the task that others wait for. If it was in user space, only a CPU
    that a detector has just found in the kernel tells more."""
    if _is_in_user_space(panic):
        found = report_of_a_detector(before, panic, lines, _REPEAT_SECONDS)
        return panic if found is None or _is_in_user_space(found) else found
    if not _is_idle(panic):
        return panic
    named = report_of_a_detector(before, panic, lines, HANG_SECONDS)
    if named is not None:
        return named
    blocked = wait_to_blame(before, panic, lines)
    if oops is not None and oops.is_begun and not (blocked and _is_apart(blocked, oops)):
        return oops
    # Of the CPUs that sysrq-l or the like showed: one that does not just wait for another.
    recent = _recent(before, panic, HANG_SECONDS)
    busy = [each for each in recent if each.has(titles.NMI_BACKTRACE) and each.task and not _is_idle(each)]
    if busy:
        return min(busy, key=_waits)
    return blocked.report if blocked else panic


def report_of_a_detector(before: list[Report], panic: Report, lines: list[Line], within_seconds: int) -> Report | None:
    """Of what the detectors reported last before the end: a CPU that does not just wait for another."""
    recent = _recent(before, panic, within_seconds)
    stalls = [
        report_of_the_lockup(recent, panic, titles.HARD_LOCKUP),
        report_of_the_lockup(recent, panic, titles.SOFT_LOCKUP),
        report_of_the_stall(recent, lines),
        report_of_the_stuck_work(recent, lines),
    ]
    named = [each for each in stalls if each is not None and each.is_begun and not _is_idle(each)]
    first = min(named, key=_waits, default=None)
    return first and (report_waited_for(recent, panic, first) or first)


def _recent(before: list[Report], panic: Report, within_seconds: int) -> list[Report]:
    return [each for each in before if each.at is None or panic.at is None or panic.at - each.at <= within_seconds]


def _is_in_user_space(report: Report) -> bool:
    pointer = exception_trace(report, is_interruption=True).pointer
    return pointer is not None and pointer.is_user_space


def _is_apart(blocked: Wait, oops: Report) -> bool:
    """Whether a device stopped to answer long after the oops. The task that died may have had a lock, of which the
    others took no notice for a day; requests to a device come all the time."""
    return blocked.is_for_device and oops.at is not None and blocked.began - oops.at > HANG_SECONDS


def report_of_the_lockup(before: list[Report], panic: Report, kind: str) -> Report | None:
    """Of the CPUs that were locked up together: one that does not just wait for another, the one that panicked, the
    last."""
    newest = last_of(before, kind)
    if newest is None:
        return None
    backtraces = {each.cpu: each for each in before if each.has(titles.NMI_BACKTRACE)}
    locked: dict[int | None, Report] = {}
    for each in before:
        title = each.has(kind)
        if title is not None and _is_together(each, newest):
            # The buddy detector (Linux 6.5) reports from another CPU, and requests the backtrace that counts.
            is_own = each.task is not None and each.cpu == title.cpu
            requested = None if is_own else backtraces.get(title.cpu)
            locked.pop(title.cpu, None)
            locked[title.cpu] = requested if requested is not None and requested.index > each.index else each

    def rank(each: Report) -> tuple[bool, bool, bool]:
        is_elsewhere = each.cpu != panic.cpu
        return (is_elsewhere and not each.is_begun, _waits(each), is_elsewhere)

    return min(reversed(locked.values()), key=rank)


def report_waited_for(before: list[Report], panic: Report, waiter: Report) -> Report | None:
    """The backtrace of the CPU that a spinning CPU waits for. Who holds a spinlock, or does not answer, is on a CPU and
    in the kernel: it is known if only one such CPU was shown."""
    if not _waits(waiter):
        return None
    shown = {each.cpu: each for each in before if each.has(titles.NMI_BACKTRACE) and _is_together(each, waiter)}
    working = [
        each
        for cpu, each in shown.items()
        if cpu not in (waiter.cpu, panic.cpu) and blamed_frame(_trace(each)) is not None and not _waits(each)
    ]
    return working[0] if len(working) == 1 else None


def _trace(report: Report) -> tuple[Frame, ...]:
    return exception_trace(report, is_interruption=True).trace


def _waits(report: Report) -> bool:
    return is_waiting(_trace(report))


def _is_together(first: Report, second: Report) -> bool:
    return first.at is None or second.at is None or abs(first.at - second.at) <= _REPEAT_SECONDS


def report_of_the_stall(before: list[Report], lines: list[Line]) -> Report | None:
    """The stalled CPU's backtrace; a self-detected stall's report has it itself."""
    stall = last_of(before, titles.RCU_STALL)
    if stall is None:
        return None
    title = stall.has(titles.RCU_STALL)
    cpus = _stalled_cpus(stall, lines) | {int(each) for each in (title.detail if title else "").split()}
    backtraces = (each for each in before if each.index > stall.index and each.has(titles.NMI_BACKTRACE))
    # An idle CPU lets every grace period end: then who kept the time, or RCU's own thread, did not run.
    later = [each for each in backtraces if each.task and not _is_idle(each)]
    named = [each for each in later if each.cpu in cpus]
    if named:
        return min(named, key=_waits)
    if title and "self-detected" in title.text and stall.is_begun:
        return stall
    preempted = _preempted_reader(stall, before, lines)
    starving = _starving_cpu(stall, lines)
    return preempted or next((each for each in later if each.cpu == starving), next(iter(later), None))


def _preempted_reader(stall: Report, before: list[Report], lines: list[Line]) -> Report | None:
    """On a kernel that preempts readers, the one that lets no grace period end may be on no CPU."""
    said = [found["readers"] for line in _near(stall, lines) if (found := _READERS.match(line.text)) is not None]
    pids = {int(pid) for pid in re.findall(r"\bP(\d{1,10})", " ".join(said))}
    shown = (each for each in before if each.index >= stall.index and each.state and each.task is not None)
    return next((each for each in shown if each.task is not None and each.task.pid in pids), None)


def _starving_cpu(stall: Report, lines: list[Line]) -> int | None:
    """The CPU on which RCU's own thread waits for its turn."""
    said = (line.text for line in lines[stall.index :] if " kthread starved for " in line.text)
    found = next((match for text in said if (match := _STARVED.search(text)) is not None), None)
    return int(found[1]) if found else None


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
