"""Finds, among the tasks that the log shows blocked, the one that the others wait for. Pure."""

from dataclasses import dataclass

from lambdas.triage import titles
from lambdas.triage.blame import waits_for_device, waits_for_lock
from lambdas.triage.exception_trace import sleeping_trace
from lambdas.triage.model import Task
from lambdas.triage.printk import Line
from lambdas.triage.reports import Report, last_of

# A report this long before the interrupt still belongs to the hang.
HANG_SECONDS = 1800
# kernel.hung_task_warnings by default: after so many reports, the detector is silent.
_MOST_WARNINGS = 10
# Newer kernels say so.
_USED_UP = "Future hung task reports are suppressed"
# The checks of a timeout of 120 s come every 122.88 s.
_SLACK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Wait:
    """A task's wait: its last report, and when it began to wait, in seconds since boot (without time stamps: before
    the end of the log)."""

    report: Report
    began: float
    seconds: int

    @property
    def is_for_device(self) -> bool:
        """Whether for a disk or the network."""
        return waits_for_device(sleeping_trace(self.report))


def wait_to_blame(before: list[Report], panic: Report, lines: list[Line]) -> Wait | None:
    """Of the tasks that were blocked longest, in whatever order they were found: the one that waits for a device or the
    network, and not for another task."""
    last = last_of(before, titles.HUNG_TASK)
    is_silenced = last is not None and _is_silenced(before, lines)
    # Silence tells that nobody was blocked any more, unless the detector had used up its warnings.
    end = last.at if last is not None and is_silenced else panic.at
    waits = [each for each in _waits(before) if _seconds(each.report, end) <= HANG_SECONDS]
    measured = [each for each in waits if each.seconds]
    # The detector checks at least as often as its timeout, and reports at each check who is still blocked.
    interval = min((each.seconds for each in measured), default=0)
    if last is not None and not is_silenced:
        measured = [each for each in measured if _seconds(each.report, last.at) <= 2 * interval]
    earliest = min((each.began for each in measured or waits), default=0)
    longest = [each for each in measured if each.began <= earliest + interval] or waits
    owners = lock_owners(before)
    return min(longest, key=lambda each: _distance_to_the_cause(each.report, owners), default=None)


def _is_silenced(before: list[Report], lines: list[Line]) -> bool:
    count = sum(each.has(titles.HUNG_TASK) is not None for each in before)
    return count == _MOST_WARNINGS or any(_USED_UP in line.text for line in lines)


def _waits(before: list[Report]) -> list[Wait]:
    """One of each task, in the order of their first reports. The detector tells how long; sysrq-w does not."""
    found: dict[tuple[str, int | None], Wait] = {}
    for report in before:
        title = report.has(titles.HUNG_TASK)
        task = report.task or (title.task if title else None)
        if task is None or (title is None and report.state != "D"):
            continue
        seconds = (title.seconds or 0) if title else 0
        began = (report.at or 0) - seconds
        earlier = found.get((task.name, task.pid))
        if earlier is not None:
            if earlier.seconds and not seconds:
                continue
            # Older kernels print the timeout in each report: there the first tells when the wait began.
            if began <= (earlier.report.at or 0) + _SLACK_SECONDS:
                began = min(began, earlier.began)
        shown = earlier.report if earlier is not None and not report.frames else report
        found[task.name, task.pid] = Wait(shown, began, seconds)
    return list(found.values())


def _seconds(report: Report, end: float | None) -> float:
    return end - report.at if end is not None and report.at is not None else 0


def _distance_to_the_cause(blocked: Report, owners: dict[str, Report]) -> int:
    trace = sleeping_trace(blocked)
    if waits_for_device(trace):
        # Whoever holds a page's lock may wait for the device itself.
        return 1 if waits_for_lock(trace) else 0
    if waiter_of(blocked.task) in owners:
        return 4
    return 3 if waits_for_lock(trace) else 2


def lock_owners(reports: list[Report]) -> dict[str, Report]:
    """By waiter, the last report of the task that likely holds its lock."""
    return {title.detail: each for each in reports if (title := each.has(titles.LOCK_OWNER)) is not None}


def waiter_of(task: Task | None) -> str:
    """As LOCK_OWNER's title names the waiter."""
    return f"{task.name}:{task.pid}" if task else ""
