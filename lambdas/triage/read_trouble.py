"""Reads what surrounds the crash in a log: each CPU's task, blocked tasks, earlier warnings. Pure."""

import re
from dataclasses import dataclass

from lambdas.triage import titles
from lambdas.triage.blame import blamed_frame
from lambdas.triage.exception_trace import exception_trace, sleeping_trace
from lambdas.triage.find_culprit import Culprit
from lambdas.triage.model import BlockedGroup, BlockedTask, Cpu, Task, Trouble
from lambdas.triage.printk import Line
from lambdas.triage.reports import Report
from lambdas.triage.signature import without_digits

# A task with its trace takes some 800 bytes of triage.json, a group 100.
_MOST_BLOCKED_TASKS = 512
_MOST_GROUPS = 200
_MOST_FRAMES = 32
# One of them is the culprit's.
_MOST_CPUS = 1024
_MOST_WARNINGS = 50
# Older traces of CPUs do not belong to the crash.
_RECENT_SECONDS = 300
_IDLING = re.compile(r"skipped: idling at ([\w.]{1,200})\+0x")
# An interrupt makes these reports.
_INTERRUPTED = (titles.NMI_BACKTRACE, titles.SOFT_LOCKUP, titles.HARD_LOCKUP, titles.PANIC)
_NMI_PANIC = re.compile(r"NMI: |[Hh]ard LOCKUP|softlockup|RCU Stall")

# Lines that operators look for before a crash. Lines that differ only in numbers count as one.
_TROUBLE = re.compile(
    "|".join(
        (
            # the kernel itself
            r"WARNING: |BUG: |INFO: (?:task |rcu|NMI handler)|rcu: INFO: |Internal error",
            r"(?:NMI )?watchdog: (?:BUG|CPU|Watchdog detected)|NETDEV WATCHDOG|Kernel panic|traps: .{0,60}trap",
            r"clocksource: timekeeping watchdog|sched: RT throttling|perf: interrupt took|hrtimer: interrupt took",
            r"workqueue: .{0,60}hogged|list_(?:add|del) corruption|refcount_t: |usercopy: ",
            # BUG kmalloc-128 (Tainted: G    B      OE     ): Poison overwritten
            r"BUG \S{1,60} \(",
            # memory and hardware
            r"(?:Out of memory|Memory cgroup out of memory): ",
            r"(?:mce: )?\[Hardware Error\]|EDAC .{0,40}(?:CE|UE) |Uncorrect",
            # disks
            r"(?:blk_update_request: |print_req_error: )?(?:I/O error|critical \w{1,20} (?:allocation )?error)",
            r"Buffer I/O error|nvme .{0,40}(?:I/O .{0,30}timeout|timeout|controller is down|resetting|Abort)",
            r"nvme .{0,40}(?:Removing|Device not ready|frozen state)|SCSI error|ata\d.{0,30}(?:failed|exception)",
            r"dm-\d{1,4}: .{0,40}error|device offlined",
            # file systems
            r"EXT4-fs (?:error|warning|\(.{1,40}\): (?:.{0,20}error|Remounting|Delayed block|failed))",
            r"JBD2: (?:Detected|Error|I/O)|Aborting journal|BTRFS (?:error|critical|warning)",
            r"XFS \(.{1,40}\): (?:.{0,40}(?:[Ee]rror|[Ss]hut|[Cc]orrupt)|Filesystem has|possible memory)",
            # the network, and services
            r"ena .{0,60}(?:timeout|reset|missing|stuck|Keep alive)|nfs: server .{0,80}not responding",
            r"systemd(?:-\w{1,20})?\[1\]: .{0,80}(?:Watchdog timeout|[tT]imed out)",
        )
    )
)
# The only one that may begin with anything, which is slow to look for.
_ASKED_IN_VAIN = re.compile(r".{0,60}(?:invoked oom-killer|page allocation failure)")
_NUMBERS = re.compile(r"\d+|\b0x[0-9a-f]+\b|\b[0-9a-f]{8,16}\b")


@dataclass(frozen=True, slots=True)
class Blocked:
    """The longest blocked tasks, all tasks by name and function, and how many there were."""

    tasks: tuple[BlockedTask, ...]
    groups: tuple[BlockedGroup, ...]
    count: int


def cpus(reports: list[Report], culprit: Culprit) -> tuple[Cpu, ...]:
    """The last report on each CPU in the minutes before the crash, by number; the culprit's CPU shows the culprit."""
    ended = next((report.at for report in reversed(reports) if report.at is not None), None)
    last: dict[int, Report] = {}
    for report in reports:
        is_old = ended is not None and report.at is not None and ended - report.at > _RECENT_SECONDS
        # The task of an oops that the kernel survived is dead.
        is_gone = report is culprit.earlier or (report is culprit.report and not culprit.is_on_cpu)
        if report.cpu is None or report.is_off_cpu or is_old or is_gone or len(last) >= _MOST_CPUS - 1:
            continue
        if _idling(report) or (report.task is not None and report.titles):
            last[report.cpu] = report
    seen = {number: _cpu(report, number) for number, report in last.items()}
    if culprit.is_on_cpu and culprit.cpu is not None and culprit.task:
        pointer, trace = culprit.where.pointer, culprit.where.trace
        symbol = pointer.symbol if pointer else trace[0].symbol if trace else ""
        seen[culprit.cpu] = Cpu(
            cpu=culprit.cpu,
            task=culprit.task,
            symbol=symbol,
            is_user_space=pointer is not None and pointer.is_user_space,
            call_trace=culprit.where.trace[:_MOST_FRAMES],
        )
    return tuple(seen[number] for number in sorted(seen))


def _idling(report: Report) -> str:
    """The function in which a backtrace found its CPU idle, or ""."""
    backtrace = report.has(titles.NMI_BACKTRACE)
    idling = _IDLING.search(backtrace.detail) if backtrace else None
    return idling[1] if idling else ""


def _cpu(report: Report, number: int) -> Cpu:
    if idling := _idling(report):
        return Cpu(cpu=number, task=Task(name=f"swapper/{number}", pid=0), symbol=idling)
    panic = report.has(titles.PANIC)
    is_interruption = _NMI_PANIC.match(panic.detail) is not None if panic else _is_interrupted(report)
    where = exception_trace(report, is_interruption=is_interruption)
    symbol = where.pointer.symbol if where.pointer else where.trace[0].symbol if where.trace else ""
    return Cpu(
        cpu=number,
        task=report.task or Task(),
        symbol=symbol,
        is_user_space=where.pointer is not None and where.pointer.is_user_space,
        call_trace=where.trace[:_MOST_FRAMES],
    )


def _is_interrupted(report: Report) -> bool:
    return any(title.kind in _INTERRUPTED for title in report.titles)


def blocked_tasks(reports: list[Report]) -> Blocked:
    """Each task in state D, the longest blocked first. By the detector or sysrq-w."""
    found: dict[tuple[str, int | None], BlockedTask] = {}
    for report in reports:
        hung = report.has(titles.HUNG_TASK)
        if report.state != "D" and hung is None:
            continue
        task = report.task or (hung.task if hung else None) or Task()
        key = (task.name, task.pid)
        before = found.get(key)
        seconds = max((hung.seconds or 0) if hung else 0, (before.blocked_seconds or 0) if before else 0)
        trace = sleeping_trace(report)[:_MOST_FRAMES]
        found[key] = BlockedTask(
            name=task.name,
            pid=task.pid,
            state=report.state or "D",
            blocked_seconds=seconds or None,
            call_trace=trace or (before.call_trace if before else ()),
        )
    longest_first = sorted(found.values(), key=lambda each: -(each.blocked_seconds or 0))
    return Blocked(tuple(longest_first[:_MOST_BLOCKED_TASKS]), _grouped(longest_first), len(found))


def _grouped(longest_first: list[BlockedTask]) -> tuple[BlockedGroup, ...]:
    alike: dict[tuple[str, str], list[BlockedTask]] = {}
    for task in longest_first:
        blamed = blamed_frame(task.call_trace)
        alike.setdefault((without_digits(task.name), blamed.symbol if blamed else ""), []).append(task)
    groups = [
        BlockedGroup(name=each[0].name, symbol=symbol, count=len(each), blocked_seconds=each[0].blocked_seconds)
        for (_, symbol), each in alike.items()
    ]
    groups.sort(key=lambda group: (-(group.blocked_seconds or 0), -group.count))
    return tuple(groups[:_MOST_GROUPS])


def warnings(lines: list[Line], *, end: int) -> tuple[Trouble, ...]:
    """The last lines about faults before `end`, in order; of lines that differ only in numbers, the first and last."""
    alike: dict[str, list[tuple[int, Line]]] = {}
    for index, line in enumerate(lines[:end]):
        text = line.text.lstrip()
        if _is_trouble(text) or ((title := titles.read_title(text)) and title.kind == titles.OOPS):
            kept = alike.setdefault(_NUMBERS.sub("#", text[:200]), [])
            kept[min(len(kept), 1) :] = [(index, line)]
    chosen = sorted((each for kept in alike.values() for each in kept), key=lambda each: each[0])
    return tuple(Trouble(at=line.at, text=line.text.strip()[:300]) for _, line in chosen[-_MOST_WARNINGS:])


def _is_trouble(text: str) -> bool:
    if _TROUBLE.match(text) is not None:
        return True
    is_asking = "invoked oom-killer" in text or "page allocation failure" in text
    return is_asking and _ASKED_IN_VAIN.match(text) is not None
