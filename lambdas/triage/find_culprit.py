"""Finds the class of a crash, and the report in the log that shows its cause. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from lambdas.triage import titles
from lambdas.triage.exception_trace import Where, exception_trace
from lambdas.triage.model import CrashClass, Task
from lambdas.triage.printk import Line
from lambdas.triage.reports import Report

# An interrupt reports these; the task at fault itself reports the others.
_INTERRUPTIONS = {
    CrashClass.NMI_HANG,
    CrashClass.HARD_LOCKUP,
    CrashClass.SOFT_LOCKUP,
    CrashClass.RCU_STALL,
    CrashClass.WATCHDOG,
}
# A lockup detector's report this long before the interrupt still belongs to the hang.
_HANG_SECONDS = 1800
# rcu: 	1-....: (5249 ticks this GP) idle=74c/1/0x4000000000000000 softirq=8041/8041 fqs=2576
_STALLED_CPU = re.compile(r"(?:rcu: )?\s{0,8}(\d{1,5})-[.!oOS?D]{1,8}[:!]")
_STALL_LINES = 40
_IDLE = re.compile(r"swapper(?:/\d+)?")


@dataclass(frozen=True, slots=True)
class Culprit:
    """`end` is the report that stopped the kernel, `report` the one that shows the fault; often they are the same."""

    crash_class: CrashClass = CrashClass.UNKNOWN
    message: str = ""
    end: Report | None = None
    report: Report | None = None
    cpu: int | None = None
    task: Task | None = None
    where: Where = field(default_factory=Where)
    stuck_seconds: int | None = None


def find_culprit(reports: list[Report], lines: list[Line]) -> Culprit:
    """Without a panic or an oops the class is unknown, whatever warnings there are."""
    panic = _last(reports, titles.PANIC)
    oops = _last(_before(reports, panic), titles.OOPS)
    detail = title.detail if panic and (title := panic.has(titles.PANIC)) else ""
    crash_class = titles.class_of_panic(detail) if panic else None
    if panic and crash_class is not None and crash_class not in (CrashClass.PANIC, CrashClass.BUG):
        return _of_panic(crash_class, panic, reports, lines)
    if oops and (panic is None or crash_class is None):
        return _of_oops(oops, panic, reports)
    if panic:
        return _described(crash_class or CrashClass.PANIC, panic, _panic_report(panic, reports), detail=detail)
    sysrq = _last(reports, titles.SYSRQ)
    return _described(CrashClass.SYSRQ, sysrq, sysrq, detail="") if sysrq else Culprit()


def _of_panic(crash_class: CrashClass, panic: Report, reports: list[Report], lines: list[Line]) -> Culprit:
    before = _before(reports, panic)
    shown = {
        CrashClass.SOFT_LOCKUP: lambda: _last(before, titles.SOFT_LOCKUP),
        CrashClass.HARD_LOCKUP: lambda: _hard_locked(before),
        CrashClass.HUNG_TASK: lambda: _longest_blocked(before),
        CrashClass.RCU_STALL: lambda: _stalled(before, lines),
        CrashClass.OUT_OF_MEMORY: lambda: _last(before, titles.OUT_OF_MEMORY),
        CrashClass.MACHINE_CHECK: lambda: _last(before, titles.MACHINE_CHECK),
        CrashClass.STACK_OVERFLOW: lambda: _last(before, titles.OOPS),
        CrashClass.NMI_HANG: lambda: _seen_hanging(before, panic, lines),
    }.get(crash_class, lambda: None)()
    if shown is None:
        shown = panic
    elif not shown.is_begun:
        # Only the title was printed: use the panic's trace, with the CPU that the title names.
        panic.cpu = panic.cpu if panic.cpu is not None else shown.cpu
        shown = panic
    return _described(crash_class, panic, shown, detail="")


def _described(crash_class: CrashClass, end: Report, shown: Report, *, detail: str) -> Culprit:
    is_interruption = crash_class in _INTERRUPTIONS and not shown.state
    title = next((each for each in shown.titles if each.task or each.seconds), None)
    # "[spin:777]" in the title names the task too, if the line below it is lost.
    task = shown.task or (title.task if title else None)
    is_panic = end.has(titles.PANIC)
    return Culprit(
        crash_class,
        is_panic.text if is_panic else end.titles[0].text if end.titles else detail,
        end=end,
        report=shown,
        # A blocked task is on no CPU: use the CPU of the panic.
        cpu=shown.cpu if shown.cpu is not None else end.cpu,
        task=task or end.task,
        where=exception_trace(shown, is_interruption=is_interruption),
        stuck_seconds=title.seconds if title else None,
    )


def _of_oops(oops: Report, panic: Report | None, reports: list[Report]) -> Culprit:
    crash_class = titles.class_of_oops(oops.titles)
    sysrq = _last(_before(reports, oops, inclusive=True), titles.SYSRQ)
    where = exception_trace(oops, is_interruption=False)
    # Before Linux 5.7 sysrq-c crashed the kernel by a write to address 0.
    if where.pointer and where.pointer.symbol == "sysrq_handle_crash":
        crash_class = CrashClass.SYSRQ
        oops.titles = (sysrq.titles[:1] if sysrq and sysrq is not oops else []) + oops.titles
    found = _described(crash_class, panic or oops, oops, detail="")
    # The oops's first line says more than "Fatal exception".
    return Culprit(
        crash_class, oops.titles[0].text, panic or oops, oops, found.cpu, found.task, where, found.stuck_seconds
    )


def _panic_report(panic: Report, reports: list[Report]) -> Report:
    """For panic_on_warn and KASAN the report before the panic shows the place, if there is one."""
    detail = title.text if (title := panic.has(titles.PANIC)) else ""
    if "panic_on_warn" in detail or "KASAN" in detail or "UBSAN" in detail:
        before = _before(reports, panic)
        shown = _last(before, titles.WARNING) or _last(before, titles.OOPS)
        if shown is not None and shown.is_begun:
            return shown
    return panic


def _hard_locked(before: list[Report]) -> Report | None:
    locked = _last(before, titles.HARD_LOCKUP)
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


def _longest_blocked(before: list[Report]) -> Report | None:
    hung = [each for each in before if each.has(titles.HUNG_TASK)]
    return max(hung, key=lambda each: (each.has(titles.HUNG_TASK) or each.titles[0]).seconds or 0, default=None)


def _stalled(before: list[Report], lines: list[Line]) -> Report | None:
    """The stalled CPU's backtrace; a self-detected stall's report has it itself."""
    stall = _last(before, titles.RCU_STALL)
    if stall is None:
        return None
    cpus = _stalled_cpus(stall, lines)
    later = [each for each in before if each.index > stall.index and each.has(titles.NMI_BACKTRACE) and each.task]
    named = [each for each in later if each.cpu in cpus]
    if named:
        return named[0]
    title = stall.has(titles.RCU_STALL)
    if title and "self-detected" in title.text and stall.is_begun:
        return stall
    return next((each for each in later if not _is_idle(each)), None)


def _stalled_cpus(stall: Report, lines: list[Line]) -> set[int]:
    near = lines[stall.index + 1 : stall.index + 1 + _STALL_LINES]
    return {int(found[1]) for line in near if (found := _STALLED_CPU.match(line.text)) is not None}


def _seen_hanging(before: list[Report], panic: Report, lines: list[Line]) -> Report | None:
    """The interrupt reaches one CPU. If that CPU was idle, a detector's report may show the one that hung."""
    if not _is_idle(panic):
        return panic
    recent = [each for each in before if each.at is None or panic.at is None or panic.at - each.at <= _HANG_SECONDS]
    for kind in (titles.HARD_LOCKUP, titles.SOFT_LOCKUP):
        found = _hard_locked(recent) if kind == titles.HARD_LOCKUP else _last(recent, kind)
        if found is not None and found.is_begun:
            return found
    stalled = _stalled(recent, lines)
    return stalled if stalled is not None and not _is_idle(stalled) else panic


def _is_idle(report: Report) -> bool:
    return report.task is not None and report.task.pid == 0 and _IDLE.fullmatch(report.task.name) is not None


def _last(reports: Iterable[Report], kind: str) -> Report | None:
    found = None
    for report in reports:
        if report.has(kind):
            found = report
    return found


def _before(reports: list[Report], end: Report | None, *, inclusive: bool = False) -> list[Report]:
    if end is None:
        return reports
    return [each for each in reports if each.index < end.index or (inclusive and each is end)]
