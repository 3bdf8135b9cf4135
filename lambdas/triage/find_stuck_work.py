"""Finds the work item that lets no other item of its CPU run, in the words of the workqueue's watchdog. Pure."""

import re

from lambdas.triage import titles
from lambdas.triage.model import Frame, Task
from lambdas.triage.printk import Line
from lambdas.triage.reports import Report

# BUG: workqueue lockup - pool cpus=3 node=0 flags=0x0 nice=0 stuck for 61s!
_LOCKUP = re.compile(
    r"BUG: workqueue lockup - pool cpus=(?P<cpus>[\d,-]{1,40}) .{0,80}stuck for (?P<seconds>\d{1,9})s!"
)
#   pwq 14: cpus=3 node=0 flags=0x0 nice=0 active=3 refcnt=4
_POOL = re.compile(r"\s{0,8}pwq \d{1,6}: cpus=(?P<cpus>[\d,-]{1,40}) ")
#     in-flight: 99:example_scan_work [example_blk]
_IN_FLIGHT = re.compile(
    r"\s{0,8}in-flight: (?P<pid>\d{1,10})(?:\(RESCUER\))?:(?P<symbol>[A-Za-z_.$][\w.$]{0,200})"
    r"(?: \[(?P<module>[\w-]{1,64})\])?"
)
_MOST_LINES = 400
# Of a CPU's number.
_MOST_DIGITS = 5


def report_of_the_stuck_work(before: list[Report], lines: list[Line]) -> Report | None:
    """The last lockup, as a report of the worker. Its stack is doubtful, since it runs; the item's function is not."""
    lockup = next((each for each in reversed(before) if _title(each) is not None), None)
    found = _title(lockup) if lockup is not None else None
    if lockup is None or found is None:
        return None
    cpus = ""
    for line in lines[lockup.index + 1 : lockup.index + 1 + _MOST_LINES]:
        if (pool := _POOL.match(line.text)) is not None:
            cpus = pool["cpus"]
        elif cpus == found["cpus"] and (item := _IN_FLIGHT.match(line.text)) is not None:
            cpu = int(cpus) if len(cpus) <= _MOST_DIGITS and cpus.isdecimal() else None
            task = Task(name=_name(int(item["pid"]), before) or f"kworker/{cpus}", pid=int(item["pid"]))
            title = titles.Title(titles.STUCK_WORK, found[0], cpu=cpu, seconds=int(found["seconds"]))
            frame = Frame(symbol=item["symbol"], module=item["module"] or "")
            return Report(lockup.index, lockup.at, titles=[title], cpu=cpu, task=task, frames=[frame])
    return None


def _title(report: Report) -> re.Match[str] | None:
    return next((found for title in report.titles if (found := _LOCKUP.match(title.text)) is not None), None)


def _name(pid: int, before: list[Report]) -> str:
    return next((each.task.name for each in reversed(before) if each.task and each.task.pid == pid), "")
