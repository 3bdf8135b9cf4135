"""Finds the class of a crash, and the report in the log that shows its cause. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lambdas.triage import titles
from lambdas.triage.blame import is_idle, is_waiting, waits_for_device, waits_for_lock
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
    CrashClass.MACHINE_CHECK,
}
# A lockup detector's report this long before the interrupt still belongs to the hang.
_HANG_SECONDS = 1800
# rcu: 	1-....: (5249 ticks this GP) idle=74c/1/0x4000000000000000 softirq=8041/8041 fqs=2576
_STALLED_CPU = re.compile(r"(?:rcu: )?\s{0,8}(\d{1,5})-[.!oOS?D]{1,8}[:!]")
# rcu: 	Tasks blocked on level-0 rcu_node (CPUs 0-3): P4120 P811/1:b..l
_READERS = re.compile(
    r"(?:rcu: )?\s{0,8}Tasks blocked on level-\d+ rcu_node \(CPUs [\d-]{1,12}\): (?P<readers>.{1,300})"
)
_STALL_LINES = 40
_IDLE = re.compile(r"swapper(?:/\d+)?")
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
    # Who likely holds the lock that the task waits for (Linux 6.16).
    lock_owner: Report | None = None
    # What ended init, such as SIGBUS.
    init_ended_by: str = ""

    @property
    def is_on_cpu(self) -> bool:
        """Whether the fault was on `cpu`: a blocked task is on none."""
        return self.report is not None and not self.report.is_off_cpu and self.interrupted is None


def find_culprit(reports: list[Report], lines: list[Line]) -> Culprit:
    """Without a panic or an oops the class is unknown, whatever warnings there are."""
    # What follows the first panic is its consequence.
    panic = next((report for report in reports if report.has(titles.PANIC)), None)
    before = _before(reports, panic)
    oops = _first_of_the_last_oopses(before)
    detail = title.detail if panic and (title := panic.has(titles.PANIC)) else ""
    crash_class = titles.class_of_panic(detail) if panic else None
    if panic and crash_class is not None and crash_class not in (CrashClass.PANIC, CrashClass.BUG):
        found = _of_panic(crash_class, panic, reports, lines)
    elif oops and (panic is None or crash_class is None):
        found = _of_oops(oops, panic, reports)
    elif panic and (ended_by := titles.what_ended_init(detail)):
        found = Culprit(CrashClass.PANIC, panic.titles[0].text, panic, panic, panic.cpu, panic.task)
        found = replace(found, init_ended_by=ended_by)
    elif panic:
        found = _described(crash_class or CrashClass.PANIC, panic, _panic_report(panic, reports), detail=detail)
    else:
        sysrq = _last(reports, titles.SYSRQ)
        return _described(CrashClass.SYSRQ, sysrq, sysrq, detail="") if sysrq else Culprit()
    return replace(
        found, earlier=_earlier_fault(before, found), lock_owner=_lock_owners(reports).get(_waiter(found.task))
    )


def _first_of_the_last_oopses(before: list[Report]) -> Report | None:
    """Oopses that follow each other within seconds are one trouble, and the first is its cause. A title whose body was
    not printed any more is none, unless it stands alone."""
    oopses = [each for each in before if each.has(titles.OOPS)]
    oopses = [each for each in oopses if not titles.is_survivable(each.titles)] or oopses
    burst = oopses[-1:]
    for each in reversed(oopses[:-1]):
        if each.at is not None and burst[0].at is not None and burst[0].at - each.at > _BURST_SECONDS:
            break
        burst.insert(0, each)
    return next((each for each in burst if each.is_begun), oopses[-1] if oopses else None)


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


def _lock_owners(reports: list[Report]) -> dict[str, Report]:
    """By waiter, the last report of the task that likely holds its lock."""
    return {title.detail: each for each in reports if (title := each.has(titles.LOCK_OWNER)) is not None}


def _waiter(task: Task | None) -> str:
    return f"{task.name}:{task.pid}" if task else ""


def _of_panic(crash_class: CrashClass, panic: Report, reports: list[Report], lines: list[Line]) -> Culprit:
    before = _before(reports, panic)
    if crash_class == CrashClass.HUNG_TASK:
        # Who panics is the detector, and its trace says nothing.
        blocked = _first_to_blame(before)
        return (
            _described(crash_class, panic, blocked, detail="")
            if blocked
            else Culprit(crash_class, panic.titles[0].text, panic, panic, panic.cpu)
        )
    shown = {
        CrashClass.SOFT_LOCKUP: lambda: _last(before, titles.SOFT_LOCKUP),
        CrashClass.HARD_LOCKUP: lambda: _hard_locked(before),
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


def _first_to_blame(before: list[Report]) -> Report | None:
    """Of the tasks that were blocked longest, in whatever order they were found: the one that waits for a device or the
    network, and not for another task."""
    blocked = [each for each in before if each.has(titles.HUNG_TASK) or each.state == "D"]
    longest = max((_blocked_seconds(each) for each in blocked), default=0)
    candidates = [each for each in blocked if _blocked_seconds(each) == longest]
    owners = _lock_owners(before)
    return min(candidates, key=lambda each: _distance_to_the_cause(each, owners), default=None)


def _blocked_seconds(report: Report) -> int:
    return (title.seconds or 0) if (title := report.has(titles.HUNG_TASK)) else 0


def _distance_to_the_cause(blocked: Report, owners: dict[str, Report]) -> int:
    trace = exception_trace(blocked, is_interruption=False).trace
    if waits_for_device(trace):
        return 0
    if _waiter(blocked.task) in owners:
        return 3
    return 2 if waits_for_lock(trace) else 1


def _stalled(before: list[Report], lines: list[Line]) -> Report | None:
    """The stalled CPU's backtrace; a self-detected stall's report has it itself."""
    stall = _last(before, titles.RCU_STALL)
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


def _seen_hanging(before: list[Report], panic: Report, lines: list[Line]) -> Report | None:
    """The interrupt reaches one CPU. If that was idle, another report may show what hung: a lockup, a stall, the oops
    of a task that never gave its locks back, or the task that others wait for."""
    if not _is_idle(panic):
        return panic
    recent = [each for each in before if each.at is None or panic.at is None or panic.at - each.at <= _HANG_SECONDS]
    for kind in (titles.HARD_LOCKUP, titles.SOFT_LOCKUP):
        found = _hard_locked(recent) if kind == titles.HARD_LOCKUP else _last(recent, kind)
        if found is not None and found.is_begun:
            return found
    stalled = _stalled(recent, lines)
    if stalled is not None and not _is_idle(stalled):
        return stalled
    oops = _first_of_the_last_oopses(before)
    if oops is not None and oops.is_begun and not titles.is_survivable(oops.titles):
        return oops
    # Of the CPUs that sysrq-l or the like showed: one that does not just wait for another.
    busy = [each for each in recent if each.has(titles.NMI_BACKTRACE) and each.task and not _is_idle(each)]
    if busy:
        return min(busy, key=lambda each: is_waiting(exception_trace(each, is_interruption=True).trace))
    return _first_to_blame(recent) or panic


def _is_idle(report: Report) -> bool:
    """Whether its CPU had nothing to do. In a softirq the idle task is only who was interrupted."""
    if report.task is None or report.task.pid != 0 or not _IDLE.fullmatch(report.task.name):
        return False
    trace = exception_trace(report, is_interruption=True).trace
    return not trace or is_idle(trace)


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
