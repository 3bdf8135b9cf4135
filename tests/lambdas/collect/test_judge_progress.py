"""When the wait for a dump ends: what gets on has more time, what stalls or loops has none."""

import pytest

from lambdas.collect.console_progress import Progress, count_crash_kernels, mark_end, read_progress
from lambdas.collect.judge_progress import Bounds, advance, judge
from lambdas.incident.record import ConsoleBaseline, DumpWatch
from tests.lambdas.consoles import (
    BEFORE,
    CRASH_KERNEL,
    CRASH_KERNEL_PANICS,
    DEBIAN_DUMPING,
    DEBIAN_SAVED,
    DRACUT_DUMPING,
    DRACUT_SAVED,
    FIRMWARE_AND_BOOT,
)

BASELINE = ConsoleBaseline(end=BEFORE[-512:], length=len(BEFORE))
BOUNDS = Bounds(deadline_epoch=3600, limit_epoch=28800, stall_seconds=1200)
CONSOLE_BYTES = 64 * 1024
MINUTE = 60


class Watch:
    """The looks of one execution, as the record carries them from one to the next."""

    def __init__(self, baseline: ConsoleBaseline | None = BASELINE) -> None:
        self.baseline = baseline
        self.known: DumpWatch | None = None

    def look(self, news: str, *, at: int) -> str:
        """The phase at which the wait ends, or of the dump; the console holds what EC2 keeps of it."""
        console = (BEFORE + news)[-CONSOLE_BYTES:]
        progress = read_progress(console, baseline=self.baseline)
        self.known = advance(self.known, progress, console, baseline=self.baseline, now_epoch=at)
        over = judge(self.known, progress, bounds=BOUNDS, now_epoch=at)
        return over[0] if over else progress.phase


def copying(percent: float) -> str:
    return f"Copying data                                      : [{percent:5.1f} %] -           eta: 9m0s\n"


def test_a_dump_of_hours_that_gets_on_is_waited_for_beyond_the_deadline() -> None:
    watch, console = Watch(), CRASH_KERNEL + DEBIAN_DUMPING
    for minute in range(1, 400):
        console += "".join(copying(20 + minute / 10 + second / 1000) for second in range(0, 60, 3))
        assert watch.look(console, at=minute * MINUTE) == "dumping", minute
    assert "Linux version" not in (BEFORE + console)[-CONSOLE_BYTES:]
    console += DEBIAN_SAVED
    assert watch.look(console, at=400 * MINUTE) == "saved"
    # The boot after it has its own time.
    assert watch.look(console, at=415 * MINUTE) == "saved"
    assert watch.look(console, at=421 * MINUTE) == "timed-out"


def test_a_wait_for_a_parked_volume_that_goes_on_is_no_stall() -> None:
    watch, console = Watch(), CRASH_KERNEL
    for minute in range(1, 60):
        console += f"hangdump: waiting for the dump volume, {minute * 60} of 7200 s\n"
        assert watch.look(console, at=minute * MINUTE) == "crash-kernel", minute
    assert watch.look(console, at=81 * MINUTE) == "stalled"


def test_a_dump_that_gets_on_is_not_waited_for_without_end() -> None:
    watch, console = Watch(), CRASH_KERNEL
    for minute in range(1, 481):
        console += copying(minute / 10)
        assert watch.look(console, at=minute * MINUTE) == "dumping", minute
    assert watch.look(console + copying(49), at=28801) == "timed-out"


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(CRASH_KERNEL, id="crash-kernel-hangs-while-it-boots"),
        pytest.param(CRASH_KERNEL + DEBIAN_DUMPING, id="copying"),
        pytest.param(
            CRASH_KERNEL + "Excluding unnecessary pages                       : [  7.1 %] /           eta: 2m5s\r",
            id="excluding-pages",
        ),
        pytest.param("x" * CONSOLE_BYTES + copying(45.3), id="banner-scrolled-away"),
    ],
)
def test_no_progress_for_the_time_set_is_a_stall(last: str) -> None:
    watch = Watch()
    assert watch.look(last, at=30) in ("crash-kernel", "dumping")
    assert watch.look(last, at=1200) in ("crash-kernel", "dumping")
    assert watch.look(last, at=1231) == "stalled"


def test_a_makedumpfile_that_repeats_itself_does_not_get_on() -> None:
    watch, console = Watch(), CRASH_KERNEL
    for minute in range(21):
        console += copying(45.3) * 20
        assert watch.look(console, at=minute * MINUTE) == "dumping"
    assert watch.look(console + copying(45.3), at=21 * MINUTE) == "stalled"


def test_the_noise_of_a_crash_kernel_is_no_progress() -> None:
    watch, console = Watch(), CRASH_KERNEL
    for minute in range(21):
        console += f"[{minute * 60:5d}.000000] nvme nvme1: I/O 12 QID 1 timeout, completion polled\n"
        assert watch.look(console, at=minute * MINUTE) == "crash-kernel"
    assert watch.look(console, at=21 * MINUTE) == "stalled"


@pytest.mark.parametrize(
    "last",
    [
        pytest.param("", id="no-crash-kernel-seen"),
        pytest.param(CRASH_KERNEL + DRACUT_DUMPING, id="a-collector-that-tells-no-percents"),
        pytest.param(CRASH_KERNEL + DEBIAN_DUMPING + BEFORE, id="left-the-crash-kernel-and-boots"),
        pytest.param(CRASH_KERNEL + DRACUT_DUMPING + DRACUT_SAVED, id="saved"),
    ],
)
def test_what_cannot_be_measured_is_waited_for_until_the_deadline(last: str) -> None:
    watch = Watch()
    phase = watch.look(last, at=30)
    assert watch.look(last, at=3600) == phase
    assert watch.look(last, at=3601) == "timed-out"


def test_a_console_that_cannot_be_read_is_no_stall() -> None:
    watch = Watch()
    watch.look(CRASH_KERNEL, at=30)
    assert watch.known is not None
    unread = Progress("waiting", "The console cannot be read.")
    assert judge(watch.known, unread, bounds=BOUNDS, now_epoch=3000) is None


@pytest.mark.parametrize("between", ["", FIRMWARE_AND_BOOT], ids=["at-once", "with-boots-between"])
def test_a_crash_kernel_that_panics_and_boots_again_and_again_is_a_loop(between: str) -> None:
    watch, console, seen = Watch(), "", []
    for round_ in range(1, 4):
        console += CRASH_KERNEL_PANICS + between
        seen.append(watch.look(console, at=round_ * MINUTE))
    assert seen[:2] == (["crash-kernel"] * 2 if not between else ["booting"] * 2)
    assert seen[2] == "looping"


def test_a_loop_is_counted_although_its_beginning_scrolls_out_of_the_console() -> None:
    watch, console = Watch(), ""
    phases = []
    for round_ in range(1, 4):
        noise = "".join(f"[{round_}{number:04d}.000000] a driver says hello\n" for number in range(1000))
        console += CRASH_KERNEL_PANICS + noise
        phases.append(watch.look(console, at=round_ * MINUTE))
    assert count_crash_kernels((BEFORE + console)[-CONSOLE_BYTES:], seen=None) < 3
    assert phases == ["crash-kernel", "crash-kernel", "looping"]


def test_an_instance_that_saved_its_dump_and_crashes_again_whenever_it_boots_has_one() -> None:
    watch, console = Watch(), CRASH_KERNEL + DEBIAN_DUMPING + DEBIAN_SAVED + BEFORE
    assert watch.look(console, at=60) == "saved"
    console += CRASH_KERNEL + BEFORE
    assert watch.look(console, at=120) == "booting"
    assert watch.look(console + CRASH_KERNEL, at=180) == "boot-loop"


def test_one_crash_kernel_seen_at_many_looks_is_one() -> None:
    watch, console = Watch(), CRASH_KERNEL
    for second in range(10, 700, 10):
        console += f"[   {second}.000000] still here\n"
        assert watch.look(console, at=second) == "crash-kernel"
    assert watch.known is not None
    assert watch.known.crash_kernels == 1


def test_a_command_line_that_is_printed_by_halves_between_two_looks_is_one() -> None:
    console = BEFORE + CRASH_KERNEL
    for cut in range(len(BEFORE), len(console)):
        seen = mark_end(console[:cut])
        before = count_crash_kernels(console[:cut], seen=BASELINE)
        # Half of "elfcorehdr=" is not counted before, so it must be counted after; the whole of it may be seen twice
        # only while its line is not at its end.
        after = count_crash_kernels(console, seen=seen)
        assert before + after >= 1
        assert before + after == 1 or console[cut - 1] != "\n"


def test_crash_kernels_from_before_the_interrupt_are_no_loop_even_without_a_baseline() -> None:
    watch = Watch(baseline=None)
    earlier = (CRASH_KERNEL + DEBIAN_DUMPING + DEBIAN_SAVED + BEFORE) * 4
    watch.look(earlier, at=10)
    assert watch.known is not None
    assert watch.known.crash_kernels == 1
    assert watch.look(earlier + CRASH_KERNEL, at=20) == "crash-kernel"
