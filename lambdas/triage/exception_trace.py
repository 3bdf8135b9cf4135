"""Selects a report's frames of the fault itself, without those of panic() and of a detector's interrupt. Pure."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from lambdas.triage.blame import function_name, is_of_interrupt
from lambdas.triage.model import Frame, InstructionPointer
from lambdas.triage.reports import Report

# Functions that print a trace or stop the machine. They are on top of their caller's stack.
_PLUMBING = re.compile(
    r"(?:__)?(?:dump_stack(?:_lvl)?|dump_backtrace|show_stack|show_trace_log_lvl|show_regs|v?panic|nmi_panic|panic_other_cpu|die|oops_end"
    r"|_?printk|crash_kexec|panic_print_sys_info|dump_header|check_panic_on_warn|sched_show_task|show_stack_log_lvl|warn_slowpath_\w+|__warn"
    r"|report_bug|rcu_dump_cpu_stacks|rcu_check_gp_kthread_starvation|nmi_trigger_cpumask_backtrace|nmi_cpu_backtrace|dump_cpu_task"
    r"|spl_panic|spl_dumpstack|v?cmn_err|zfs_panic_recover|lbug_with_loc|libcfs_\w+|panic_unhandled)"
    r"(?:\.\w+)*"
)
# Entries of interrupts and exceptions into the kernel: the frames below were interrupted.
_ENTRY = re.compile(
    r"asm_(?:exc|sysvec|common_interrupt|fred)\w*|apic_timer_interrupt|ret_from_intr|common_interrupt|reschedule_interrupt"
    r"|call_function(?:_single)?_interrupt|page_fault|async_page_fault|general_protection|invalid_op|double_fault|end_repeat_nmi|nmi|nmi_restore"
    r"|el1h?_(?:64_)?(?:irq|fiq|sync|error|dbg)|el1h_64_\w+(?<!handler)|el0t?_(?:64_|32_)?(?:irq|fiq|error)|ret_to_user\w*"
)
# These stop the kernel because of the code that they interrupted.
_TRAP_HANDLER = re.compile(r"exc_control_protection|do_kernel_cp_fault")
# </NMI> · <<EOE>> · <EOI> · </IRQ>: the end of an interrupt's stack
_END_OF_STACK = re.compile(r"/(?!TASK).+|EOE|EOI")
_INTERRUPT_BEGINS, _INTERRUPT_ENDS = {"IRQ", "SOFTIRQ"}, {"/IRQ", "/SOFTIRQ", "EOI"}


@dataclass(frozen=True, slots=True)
class Where:
    """The place of the fault and the calls that led there; the trace begins with the pointer's function."""

    pointer: InstructionPointer | None = None
    trace: tuple[Frame, ...] = ()
    # An interrupt or a softirq was at fault, not the task that it interrupted.
    is_in_interrupt: bool = False


def sleeping_trace(report: Report) -> tuple[Frame, ...]:
    """The trace of a task that sleeps, which no interrupt can have at fault."""
    return _where(report, is_interruption=False).trace


def exception_trace(report: Report, *, is_interruption: bool) -> Where:
    """is_interruption: an interrupt (NMI, watchdog, tick) made the report, so the code that it interrupted counts."""
    where = _where(report, is_interruption=is_interruption)
    return replace(where, is_in_interrupt=_is_in_interrupt(report, where))


def _is_in_interrupt(report: Report, where: Where) -> bool:
    sure = [frame for frame in where.trace if frame.is_reliable]
    # arm64 prints no markers.
    if any(is_of_interrupt(frame) for frame in sure):
        return True
    if len(sure) < 2:
        return False
    # The first may be the pointer's, which is no line of the report. The trace ends as the report does.
    second = [place for place, frame in enumerate(where.trace) if frame.is_reliable][1]
    first = len(report.frames) - len(where.trace) + second
    said = [marker for before, marker in report.markers if before <= first and marker.strip("/") != "NMI"]
    inside = [marker in _INTERRUPT_BEGINS for marker in said if marker in _INTERRUPT_BEGINS | _INTERRUPT_ENDS]
    return bool(inside) and inside[-1]


def _where(report: Report, *, is_interruption: bool) -> Where:
    own = next((pointer for before, pointer in report.pointers if before == 0), None)
    is_handler = own is not None and _TRAP_HANDLER.fullmatch(function_name(own.symbol)) is not None
    trapped = next(((before, pointer) for before, pointer in report.pointers if before), None) if is_handler else None
    if trapped is not None:
        return _from(trapped[1], report.frames[trapped[0] :])
    if own is not None:
        return _from(own, report.frames)
    if not is_interruption:
        return Where(trace=_without_plumbing(report.frames))
    inner = next(((before, pointer) for before, pointer in report.pointers), None)
    if inner is not None:
        return _from(inner[1], report.frames[inner[0] :])
    return Where() if _is_stale(report) else _interrupted(report)


def _is_stale(report: Report) -> bool:
    """A running task has its registers in its CPU: from another, its stack shows only where it last slept."""
    first = next((frame.symbol for frame in report.frames if frame.is_reliable), "")
    return report.state == "R" and first in ("__switch_to", "__schedule")


def _from(pointer: InstructionPointer, frames: list[Frame]) -> Where:
    """User space has no trace: frames printed below it are remains of an earlier entry."""
    if pointer.is_user_space:
        return Where(pointer)
    if not pointer.symbol:
        return Where(pointer, _without_doubtful_top(frames))
    top = Frame(symbol=pointer.symbol, offset=pointer.offset, size=pointer.size, module=pointer.module)
    rest = _without_doubtful_top(frames)
    # arm64 repeats the function of pc.
    if rest and (rest[0].symbol, rest[0].offset) == (top.symbol, top.offset):
        rest = rest[1:]
    return Where(pointer, (top, *rest))


def _interrupted(report: Report) -> Where:
    """Without registers after the handler's frames, the entry's name or the end of its stack splits the frames."""
    frames = report.frames
    ends = [before for before, marker in report.markers if before and _END_OF_STACK.fullmatch(marker)]
    entries = [place + 1 for place, frame in enumerate(frames) if frame.is_reliable and _ENTRY.fullmatch(frame.symbol)]
    cut = entries[0] if entries else ends[0] if ends else 0
    rest = _without_doubtful_top(frames[cut:]) if cut else _without_plumbing(frames)
    top = next((frame for frame in rest if frame.is_reliable), None)
    if not cut or top is None:
        return Where(trace=rest)
    return Where(InstructionPointer(symbol=top.symbol, offset=top.offset, size=top.size, module=top.module), rest)


def _without_plumbing(frames: list[Frame]) -> tuple[Frame, ...]:
    is_below_plumbing = False
    for place, frame in enumerate(frames):
        if not frame.is_reliable:
            continue
        if _is_plumbing(frame.symbol):
            is_below_plumbing = True
        # arm64 prints return addresses as they are: that of a call that never returns, such as panic(), can be the
        # first byte of the function that follows the caller in memory.
        elif frame.offset or not is_below_plumbing:
            return tuple(frames[place:])
    return ()


@lru_cache(maxsize=4096)
def _is_plumbing(symbol: str) -> bool:
    return _PLUMBING.fullmatch(symbol) is not None


def _without_doubtful_top(frames: list[Frame]) -> tuple[Frame, ...]:
    """Drops the remains of the handler above the first reliable frame: "? __die_body", "? asm_exc_page_fault"."""
    first = next((place for place, frame in enumerate(frames) if frame.is_reliable), len(frames))
    return tuple(frames[first:])
