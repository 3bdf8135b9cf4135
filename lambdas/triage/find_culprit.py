"""Finds the class of a crash, and the report in the log that shows its cause: panics and oopses. Pure.

find_hang.py has the rules for lockups, stalls and blocked tasks.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lambdas.triage import titles
from lambdas.triage.exception_trace import Where, exception_trace
from lambdas.triage.find_blocked_task import HANG_SECONDS, lock_owners, wait_to_blame, waiter_of
from lambdas.triage.find_hang import (
    report_of_a_detector,
    report_of_the_hang,
    report_of_the_lockup,
    report_of_the_stall,
    report_waited_for,
)
from lambdas.triage.model import CrashClass, Task
from lambdas.triage.printk import Line
from lambdas.triage.reports import Report, last_of, reports_before

# An interrupt reports these; the task at fault itself reports the others.
_INTERRUPTIONS = {
    CrashClass.NMI_HANG,
    CrashClass.HARD_LOCKUP,
    CrashClass.SOFT_LOCKUP,
    CrashClass.RCU_STALL,
    CrashClass.WATCHDOG,
    CrashClass.MACHINE_CHECK,
}
# The detector names a CPU that may only wait for another.
_STALLS = {CrashClass.HARD_LOCKUP, CrashClass.SOFT_LOCKUP, CrashClass.RCU_STALL}
# Oopses within this time of each other are one trouble.
_BURST_SECONDS = 30
_TRAP = re.compile(r"(?:asm_)?exc_invalid_op|(?:do_)?invalid_op|(?:call_)?b(?:rk|ug)_(?:break_hook|handler)|el1_dbg")


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
    # What the interrupted CPU ran, when another report shows the fault.
    interrupted: Where | None = None
    # A fault that the kernel survived, long before the end.
    earlier: Report | None = None
    # A CPU that did not come back, where a blocked task was found: the task may wait for it.
    stuck: Report | None = None
    # Who likely holds the lock that the task waits for (Linux 6.16).
    lock_owner: Report | None = None
    # The CPU that the detector named only waits for this one.
    is_waited_for: bool = False
    # What ended init, such as SIGBUS.
    init_ended_by: str = ""

    @property
    def said(self) -> str:
        """What WARN() says about the fault, or ""."""
        title = self.report.has(titles.WARNING) if self.report else None
        return title.detail if title else ""

    @property
    def is_on_cpu(self) -> bool:
        """Whether the fault was on `cpu`: a blocked task is on none."""
        return self.report is not None and not self.report.is_off_cpu and self.interrupted is None


def find_culprit(reports: list[Report], lines: list[Line]) -> Culprit:
    """Without a panic or an oops the class is unknown, whatever warnings there are."""
    # What follows the first panic is its consequence.
    panic = next((report for report in reports if report.has(titles.PANIC)), None)
    before = reports_before(reports, panic)
    oopses = _last_oopses(before)
    oops = next((each for each in oopses if each.is_begun), oopses[-1] if oopses else None)
    detail = title.detail if panic and (title := panic.has(titles.PANIC)) else ""
    crash_class = titles.class_of_panic(detail) if panic else None
    if panic and crash_class is not None and crash_class not in (CrashClass.PANIC, CrashClass.BUG):
        is_survived = all(titles.is_survivable(each.titles) for each in oopses)
        found = _of_panic(crash_class, panic, reports, lines, None if is_survived else oops)
    elif oops and (panic is None or (crash_class is None and _is_end_of(oopses, panic, detail))):
        found = _of_oops(oops, panic, reports)
    elif panic and (ended_by := titles.what_ended_init(detail)):
        found = Culprit(CrashClass.PANIC, panic.titles[0].text, panic, panic, panic.cpu, panic.task)
        found = replace(found, init_ended_by=ended_by)
    elif panic:
        found = _described(crash_class or CrashClass.PANIC, panic, _panic_report(panic, reports), detail=detail)
    else:
        sysrq = last_of(reports, titles.SYSRQ)
        return _described(CrashClass.SYSRQ, sysrq, sysrq, detail="") if sysrq else Culprit()
    return replace(
        found, earlier=_earlier_fault(before, found), lock_owner=lock_owners(reports).get(waiter_of(found.task))
    )


def _last_oopses(before: list[Report]) -> list[Report]:
    """Oopses that follow each other within seconds are one trouble, and the first with a body is its cause: a title
    whose body was not printed any more is none, unless it stands alone. What the kernel survives is no oops, unless the
    log has no other."""
    oopses = [each for each in before if each.has(titles.OOPS)]
    last = next((each for each in reversed(oopses) if not titles.is_survivable(each.titles)), None)
    if last is not None:
        before_last = (each for each in oopses if each.index <= last.index)
        oopses = [each for each in before_last if each.is_bad_access or not titles.is_survivable(each.titles)]
    last_first = oopses[-1:]
    for each in reversed(oopses[:-1]):
        if _seconds_between(each, last_first[-1]) > _BURST_SECONDS:
            break
        last_first.append(each)
    return last_first[::-1]


def _is_end_of(oopses: list[Report], panic: Report, detail: str) -> bool:
    """Whether the panic only ends the oopses. A signal ends init as well, with no oops near."""
    is_of_init = any(each.task is not None and each.task.pid == 1 for each in oopses)
    is_near = _seconds_between(oopses[-1], panic) <= _BURST_SECONDS
    return is_near or is_of_init or not titles.what_ended_init(detail)


def _seconds_between(first: Report, second: Report) -> float:
    """0 without time stamps: all faults of such a log count as one."""
    return second.at - first.at if first.at is not None and second.at is not None else 0


def _earlier_fault(before: list[Report], found: Culprit) -> Report | None:
    """The boot's first oops, if it is another trouble than the end: it may have left locks taken and memory broken."""
    is_other = found.report is not None and not found.report.has(titles.OOPS)
    begun = (found.report or found.end or Report(0, None)).at
    for each in before:
        if not each.has(titles.OOPS) or not each.is_begun or each is found.report or titles.is_survivable(each.titles):
            continue
        if is_other or (each.at is not None and begun is not None and begun - each.at > _BURST_SECONDS):
            return each
        return None
    return None


def _of_panic(
    crash_class: CrashClass, panic: Report, reports: list[Report], lines: list[Line], oops: Report | None
) -> Culprit:
    before = reports_before(reports, panic)
    if crash_class == CrashClass.HUNG_TASK:
        # Who panics is the detector, and its trace says nothing.
        blocked = wait_to_blame(before, panic, lines)
        found = Culprit(crash_class, panic.titles[0].text, panic, panic, panic.cpu)
        found = _described(crash_class, panic, blocked.report, detail="") if blocked else found
        return replace(found, stuck=report_of_a_detector(before, panic, lines, HANG_SECONDS))
    showing: dict[CrashClass, Callable[[], Report | None]] = {
        CrashClass.SOFT_LOCKUP: lambda: report_of_the_lockup(before, panic, titles.SOFT_LOCKUP),
        CrashClass.HARD_LOCKUP: lambda: report_of_the_lockup(before, panic, titles.HARD_LOCKUP),
        CrashClass.RCU_STALL: lambda: report_of_the_stall(before, lines),
        CrashClass.OUT_OF_MEMORY: lambda: last_of(before, titles.OUT_OF_MEMORY),
        CrashClass.MACHINE_CHECK: lambda: last_of(before, titles.MACHINE_CHECK),
        CrashClass.STACK_OVERFLOW: lambda: last_of(before, titles.OOPS),
        CrashClass.NMI_HANG: lambda: report_of_the_hang(before, panic, lines, oops=oops),
    }
    shown = showing[crash_class]() if crash_class in showing else None
    if shown is None:
        shown = panic
    elif not shown.is_begun:
        # Only the title was printed: use the panic's trace, with the CPU that the title names.
        panic.cpu = panic.cpu if panic.cpu is not None else shown.cpu
        shown = panic
    waited_for = report_waited_for(before, panic, shown) if crash_class in _STALLS else None
    found = _described(crash_class, panic, waited_for or shown, detail="")
    return replace(found, is_waited_for=waited_for is not None)


def _described(crash_class: CrashClass, end: Report, shown: Report, *, detail: str) -> Culprit:
    is_oops = shown.has(titles.OOPS) is not None
    is_interruption = crash_class in _INTERRUPTIONS and shown.state in ("", "R") and not is_oops
    title = next((each for each in shown.titles if each.task or each.seconds), None)
    # "[spin:777]" in the title names the task too, if the line below it is lost.
    task = shown.task or (title.task if title else None)
    is_panic = end.has(titles.PANIC)
    # A task that is blocked, or dead since its oops, is on no CPU: use the CPU of the end.
    is_gone = crash_class == CrashClass.NMI_HANG and shown is not end and (is_oops or shown.is_off_cpu)
    return Culprit(
        crash_class,
        is_panic.text if is_panic else end.titles[0].text if end.titles else detail,
        end=end,
        report=shown,
        cpu=end.cpu if is_gone or shown.cpu is None else shown.cpu,
        task=task or end.task,
        where=exception_trace(shown, is_interruption=is_interruption or _is_trapped(crash_class, shown)),
        stuck_seconds=title.seconds if title else None,
        interrupted=exception_trace(end, is_interruption=True) if is_gone else None,
    )


def _is_trapped(crash_class: CrashClass, shown: Report) -> bool:
    """panic_on_warn of Linux 4.13 to 5.x panics in the handler of the trap that WARN is: the code below it counts."""
    return crash_class == CrashClass.BUG and any(_TRAP.fullmatch(frame.symbol) for frame in shown.frames)


def _of_oops(oops: Report, panic: Report | None, reports: list[Report]) -> Culprit:
    crash_class = titles.class_of_oops(oops.titles)
    sysrq = last_of(reports_before(reports, oops, inclusive=True), titles.SYSRQ)
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
    """For panic_on_warn, KASAN and the like the report before the panic shows the place, if there is one."""
    title = panic.has(titles.PANIC)
    if title is None or not titles.is_end_of_report(title.detail):
        return panic
    before = reversed(reports_before(reports, panic))
    shown = next((each for each in before if any(title.can_panic for title in each.titles)), None)
    return shown if shown is not None and shown.is_begun else panic
