"""Reads a dump's progress from the serial console. Pure. It is never decisive: the console shows no panic text."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from lambdas.incident.record import ConsoleBaseline
from lambdas.instance.console_lines import (
    BANNER,
    COMMAND_LINE,
    CRASH_KERNEL,
    DUMPING,
    GAVE_UP,
    SAVED,
    STEP,
    WAITING,
)

Phase = Literal["waiting", "crash-kernel", "dumping", "saved", "booting"]

# Long enough to find the end again.
_MARK_CHARACTERS = 512


@dataclass(frozen=True)
class Progress:
    """`percent` only while makedumpfile copies; `step` is makedumpfile's last progress line, or that of the wait for a
    parked dump volume. gave_up: why that wait was in vain.
    """

    phase: Phase
    detail: str
    percent: int | None = None
    step: str = ""
    gave_up: str = ""

    @property
    def saw_crash_kernel(self) -> bool:
        """Whether the console proves that the kernel panicked into its crash kernel."""
        return self.phase != "waiting"


def read_progress(console: str, *, baseline: ConsoleBaseline | None) -> Progress:
    """`baseline` is the console's end before the interrupt. If it has scrolled away, the whole console is newer."""
    news = _after(console, baseline)
    started = _crash_kernel_start(news)
    since = news[started:] if started is not None else _without_banner(news)
    if not since:
        return Progress("waiting", "The console shows no crash kernel yet.")
    if saved := SAVED.search(since):
        is_booting = BANNER.search(since, saved.end()) is not None
        return Progress("saved", "The vmcore is saved; the instance " + ("boots." if is_booting else "reboots soon."))
    is_booting = any(COMMAND_LINE.search(boot) and not _is_of_crash_kernel(boot) for _, boot in _boots(since))
    if gave_up := GAVE_UP.search(since):
        return _given_up(gave_up["why"], is_booting=is_booting)
    if is_booting:
        return Progress("booting", "The crash kernel ended without reporting a saved vmcore; the instance boots.")
    return _in_crash_kernel(since)


def _given_up(why: str, *, is_booting: bool) -> Progress:
    detail = f"The crash kernel ended without a dump: {why}."
    return Progress("booting" if is_booting else "crash-kernel", detail, step=why, gave_up=why)


def _in_crash_kernel(since: str) -> Progress:
    steps = list(STEP.finditer(since))
    if steps:
        return _dumping(steps)
    if DUMPING.search(since):
        return Progress("dumping", "makedumpfile is running.")
    waits = [match["waited"] for match in WAITING.finditer(since)]
    if waits:
        return Progress("crash-kernel", f"The crash kernel waits for its dump volume ({waits[-1]}).", step=waits[-1])
    return Progress("crash-kernel", "The crash kernel is booting.")


def count_crash_kernels(console: str, *, seen: ConsoleBaseline | None) -> int:
    """Counts the crash kernels that began to boot since the console was last seen.

    Counts what only a crash kernel says: it says each once. If the end last seen has moved and occurs twice, the later
    one counts, because a count too low is safer than one too high.
    """
    news = console
    if seen is not None and seen.end:
        is_unmoved = console[: seen.length].endswith(seen.end)
        found = seen.length - len(seen.end) if is_unmoved else console.rfind(seen.end)
        news = console if found < 0 else console[found + len(seen.end) :]
    return max(Counter(match["said"] for match in CRASH_KERNEL.finditer(news)).values(), default=0)


def mark_end(console: str) -> ConsoleBaseline | None:
    """The place where the next poll continues: after the last complete line, so that no command line is split."""
    whole = console[: console.rfind("\n") + 1]
    return ConsoleBaseline(end=whole[-_MARK_CHARACTERS:], length=len(whole)) if whole else None


def _dumping(steps: list[re.Match[str]]) -> Progress:
    last = f"{steps[-1]['step']} {steps[-1]['percent']} %"
    copied = [int(float(match["percent"])) for match in steps if match["step"] == "Copying data"]
    if copied:
        return Progress("dumping", f"makedumpfile has copied {copied[-1]} %.", copied[-1], last)
    return Progress("dumping", f"makedumpfile is preparing: {last}.", step=last)


def _after(console: str, baseline: ConsoleBaseline | None) -> str:
    if baseline is None or not baseline.end:
        return console
    # Two boots can end in the same lines, so check the baseline's old place before searching its text.
    if console[: baseline.length].endswith(baseline.end):
        return console[baseline.length :]
    found = console.find(baseline.end)
    return console if found < 0 else console[found + len(baseline.end) :]


def _without_banner(news: str) -> str:
    """EC2 keeps 64 KB of console, so a long dump's lines push out the crash kernel's banner. They prove it as well."""
    seen = (pattern.search(news) for pattern in (DUMPING, STEP, SAVED, WAITING, GAVE_UP))
    starts = [first.start() for first in seen if first]
    return news[min(starts) :] if starts else ""


def _crash_kernel_start(text: str) -> int | None:
    """The start of the last crash kernel's boot whose banner is there."""
    starts = [start for start, boot in _boots(text) if BANNER.match(boot) and _is_of_crash_kernel(boot)]
    return starts[-1] if starts else None


def _is_of_crash_kernel(boot: str) -> bool:
    """It says so by its command line at the latest. What is printed later may be the log of another boot."""
    command_line = COMMAND_LINE.search(boot)
    return CRASH_KERNEL.search(boot, 0, command_line.end() if command_line else len(boot)) is not None


def _boots(text: str) -> list[tuple[int, str]]:
    """Where each boot starts, and its text; the first may lack its beginning."""
    starts = [0, *(match.start() for match in BANNER.finditer(text) if match.start())]
    return [(start, text[start:end]) for start, end in pairwise([*starts, len(text)])]
