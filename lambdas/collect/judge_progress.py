"""Decides from the polls whether a dump makes progress, stalls or loops. Pure; console_progress.py reads the console.

A dump that makes progress gets more time, up to a limit: terabytes take hours. In doubt the wait goes on until its
deadline: the console may be unreadable, or makedumpfile may print no progress.
"""

from dataclasses import dataclass

from lambdas.collect.console_progress import Progress, count_crash_kernels, mark_end
from lambdas.incident.record import ConsoleBaseline, DumpWatch

# The interrupt starts the first. A second may follow if the kernel panics again after the reboot.
CRASH_KERNELS_OF_A_LOOP = 3


@dataclass(frozen=True)
class Bounds:
    """The deadline of the wait, its limit while the dump makes progress, and how long a dump may show none."""

    deadline_epoch: int | None
    limit_epoch: int | None
    stall_seconds: int


def advance(
    before: DumpWatch | None, progress: Progress, console: str, *, baseline: ConsoleBaseline | None, now_epoch: int
) -> DumpWatch:
    """The watch after this poll. `before` is None at the first poll of an execution."""
    known = before or DumpWatch(console_seen=baseline)
    begun = count_crash_kernels(console, seen=known.console_seen)
    if before is None:
        # Without a baseline the console may also show crash kernels of earlier crashes.
        begun = min(begun, 1)
    crash_kernels = known.crash_kernels + begun
    sign = f"{progress.phase} {progress.step or progress.percent or ''} {crash_kernels}"
    is_news = progress.saw_crash_kernel and sign != known.sign
    return DumpWatch(
        sign=sign if is_news else known.sign,
        progress_epoch=now_epoch if is_news else known.progress_epoch,
        crash_kernels=crash_kernels,
        saw_saved=known.saw_saved or progress.phase == "saved",
        gave_up=known.gave_up or progress.gave_up,
        console_seen=mark_end(console) or known.console_seen,
    )


def judge(watch: DumpWatch, progress: Progress, *, bounds: Bounds, now_epoch: int) -> tuple[str, str] | None:
    """Phase and detail when the wait is over: looping, boot-loop, stalled, timed-out. None: keep waiting."""
    if watch.crash_kernels >= CRASH_KERNELS_OF_A_LOOP:
        return _loop(watch)
    silent_seconds = now_epoch - watch.progress_epoch
    if _is_measured(progress) and silent_seconds > bounds.stall_seconds:
        return "stalled", f"The dump made no progress for {silent_seconds} s. Last seen: {progress.detail}"
    if bounds.deadline_epoch is None or now_epoch <= _deadline(watch, bounds):
        return None
    if bounds.limit_epoch is not None and now_epoch > bounds.limit_epoch > bounds.deadline_epoch:
        return "timed-out", f"The instance did not come back within the limit for a dump in progress. {progress.detail}"
    return "timed-out", f"The instance did not come back in time. {progress.detail}"


def _deadline(watch: DumpWatch, bounds: Bounds) -> int:
    """Each progress extends the deadline, also that of the boot after the dump, but never beyond the limit."""
    deadline = bounds.deadline_epoch or 0
    if not watch.progress_epoch:
        return deadline
    extended = watch.progress_epoch + bounds.stall_seconds
    return max(deadline, min(extended, bounds.limit_epoch or deadline))


def _is_measured(progress: Progress) -> bool:
    """Whether a stall can be measured: the crash kernel is booting, or makedumpfile prints its progress."""
    return progress.phase == "crash-kernel" or (progress.phase == "dumping" and bool(progress.step))


def _loop(watch: DumpWatch) -> tuple[str, str]:
    times = f"A crash kernel booted {watch.crash_kernels} times since the interrupt"
    if watch.saw_saved:
        return "boot-loop", f"{times}: a vmcore was saved, but the instance crashes again when it boots."
    return "looping", f"{times}, and none reported a saved vmcore."
