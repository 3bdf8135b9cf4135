"""How far a dump is, from consoles as two families print them."""

import pytest

from lambdas.collect.console_progress import count_crash_kernels, read_progress
from lambdas.incident.record import ConsoleBaseline
from tests.lambdas.consoles import (
    ARM_BEFORE,
    ARM_CRASH_KERNEL,
    BEFORE,
    CRASH_KERNEL,
    DEBIAN_DUMPING,
    DEBIAN_SAVED,
    DRACUT_DUMPING,
    DRACUT_SAVED,
    GIVES_UP,
    WAITS,
)


def baseline_of(console: str) -> ConsoleBaseline:
    return ConsoleBaseline(end=console[-512:], length=len(console))


BASELINE = baseline_of(BEFORE)


@pytest.mark.parametrize(
    ("news", "phase", "percent"),
    [
        pytest.param("", "waiting", None, id="nothing-new"),
        pytest.param("[  900.1] rcu: INFO: rcu_sched self-detected stall on CPU\n", "waiting", None, id="still-hung"),
        pytest.param(CRASH_KERNEL[:60], "waiting", None, id="banner-half-printed"),
        pytest.param(CRASH_KERNEL, "crash-kernel", None, id="crash-kernel"),
        pytest.param(CRASH_KERNEL + DEBIAN_DUMPING[:200], "dumping", None, id="debian-dump-begins"),
        pytest.param(CRASH_KERNEL + DEBIAN_DUMPING, "dumping", 45, id="debian-dumping"),
        pytest.param(CRASH_KERNEL + DEBIAN_DUMPING + DEBIAN_SAVED, "saved", None, id="debian-saved"),
        pytest.param(CRASH_KERNEL + DRACUT_DUMPING, "dumping", None, id="dracut-dumping"),
        pytest.param(CRASH_KERNEL + DRACUT_DUMPING + DRACUT_SAVED, "saved", None, id="dracut-saved"),
        pytest.param(CRASH_KERNEL + DEBIAN_DUMPING + DEBIAN_SAVED + BEFORE, "saved", None, id="booting-again"),
        pytest.param(BEFORE, "waiting", None, id="rebooted-without-crash-kernel"),
        pytest.param(CRASH_KERNEL + WAITS, "crash-kernel", None, id="waits-for-a-parked-volume"),
        pytest.param(CRASH_KERNEL + WAITS + DEBIAN_DUMPING, "dumping", 45, id="has-its-parked-volume"),
        pytest.param(CRASH_KERNEL + WAITS + GIVES_UP, "crash-kernel", None, id="waited-in-vain"),
        pytest.param(CRASH_KERNEL + WAITS + GIVES_UP + BEFORE, "booting", None, id="waited-in-vain-and-boots"),
    ],
)
def test_phase(news: str, phase: str, percent: int | None) -> None:
    progress = read_progress(BEFORE + news, baseline=BASELINE)
    assert (progress.phase, progress.percent) == (phase, percent)
    assert progress.saw_crash_kernel == (phase != "waiting")


@pytest.mark.parametrize(
    ("news", "phase"),
    [
        pytest.param("", "waiting", id="nothing-new"),
        pytest.param(ARM_CRASH_KERNEL, "crash-kernel", id="crash-kernel"),
        pytest.param(ARM_CRASH_KERNEL + DEBIAN_DUMPING, "dumping", id="dumping"),
        pytest.param(ARM_CRASH_KERNEL + DEBIAN_DUMPING + DEBIAN_SAVED + ARM_BEFORE, "saved", id="saved"),
        pytest.param(ARM_CRASH_KERNEL + DEBIAN_DUMPING + ARM_BEFORE, "booting", id="ended-without-a-word"),
        pytest.param(ARM_BEFORE, "waiting", id="rebooted-without-crash-kernel"),
    ],
)
def test_phase_on_arm64(news: str, phase: str) -> None:
    assert read_progress(ARM_BEFORE + news, baseline=baseline_of(ARM_BEFORE)).phase == phase


def test_a_wait_in_vain_is_said_with_its_reason() -> None:
    progress = read_progress(BEFORE + CRASH_KERNEL + WAITS + GIVES_UP + BEFORE, baseline=BASELINE)
    assert progress.gave_up == "no dump volume within 1200 s"
    assert progress.detail == "The crash kernel ended without a dump: no dump volume within 1200 s."


def test_a_wait_so_long_that_its_lines_push_the_banner_out_is_seen_none_the_less() -> None:
    assert read_progress(WAITS, baseline=BASELINE).phase == "crash-kernel"
    assert read_progress(GIVES_UP, baseline=BASELINE).gave_up


def test_crash_kernels_are_counted_on_arm64() -> None:
    assert count_crash_kernels(ARM_BEFORE + 3 * ARM_CRASH_KERNEL, seen=baseline_of(ARM_BEFORE)) == 3


def test_the_printed_log_of_an_earlier_crash_kernel_is_no_crash_kernel() -> None:
    assert read_progress(BEFORE + BEFORE + CRASH_KERNEL.splitlines()[1] + "\n", baseline=BASELINE).phase == "waiting"


COPYING = "".join(f"Copying data : [ {tenth / 10:.1f} %] - eta: 9m\n" for tenth in range(900))


@pytest.mark.parametrize(("ending", "phase", "percent"), [("", "dumping", 89), (DEBIAN_SAVED, "saved", None)])
def test_a_dump_so_long_that_its_own_lines_push_the_banner_out_is_seen_none_the_less(
    ending: str, phase: str, percent: int | None
) -> None:
    console = (BEFORE + CRASH_KERNEL + COPYING + ending)[-20_000:]
    assert "Linux version" not in console
    progress = read_progress(console, baseline=BASELINE)
    assert (progress.phase, progress.percent, progress.saw_crash_kernel) == (phase, percent, True)


def test_a_dump_from_before_the_interrupt_is_not_this_one() -> None:
    earlier = BEFORE + CRASH_KERNEL + DEBIAN_DUMPING + DEBIAN_SAVED + BEFORE
    assert read_progress(earlier, baseline=baseline_of(earlier)).phase == "waiting"
    assert read_progress(earlier + CRASH_KERNEL, baseline=baseline_of(earlier)).phase == "crash-kernel"


def test_a_dump_from_before_the_interrupt_is_not_this_one_when_half_of_it_has_scrolled_away() -> None:
    earlier = CRASH_KERNEL + DEBIAN_DUMPING + DEBIAN_SAVED + BEFORE
    scrolled = (earlier + "[  900.1] rcu: stall\n")[100:]
    assert read_progress(scrolled, baseline=baseline_of(earlier)).phase == "waiting"


def test_the_same_login_prompt_after_the_dump_does_not_hide_the_dump() -> None:
    console = BEFORE + CRASH_KERNEL + DEBIAN_DUMPING + DEBIAN_SAVED + BEFORE
    assert read_progress(console, baseline=BASELINE).phase == "saved"


def test_when_the_baseline_has_scrolled_away_all_of_the_console_is_newer() -> None:
    scrolled = ("[  901.0] systemd[1]: noise\n" * 3 + CRASH_KERNEL)[-65536:]
    assert read_progress(scrolled, baseline=BASELINE).phase == "crash-kernel"


@pytest.mark.parametrize("baseline", [None, ConsoleBaseline(end="", length=0)])
def test_without_a_baseline_all_of_the_console_counts(baseline: ConsoleBaseline | None) -> None:
    assert read_progress(BEFORE + CRASH_KERNEL, baseline=baseline).phase == "crash-kernel"


def test_tells_that_the_instance_boots_after_the_dump() -> None:
    saved = BEFORE + CRASH_KERNEL + DEBIAN_DUMPING + DEBIAN_SAVED
    assert "reboots soon" in read_progress(saved, baseline=BASELINE).detail
    assert "boots." in read_progress(saved + BEFORE, baseline=BASELINE).detail


def test_a_line_that_is_made_to_be_long_is_no_progress() -> None:
    news = f"Excluding unnecessary pages : [ 7.{'1' * 60_000} %] /\n"
    progress = read_progress(BEFORE + CRASH_KERNEL + news, baseline=BASELINE)
    assert (progress.phase, progress.step) == ("crash-kernel", "")
