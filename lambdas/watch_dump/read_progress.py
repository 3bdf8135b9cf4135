"""How far a dump is, from the serial console alone. Pure, and never decisive: the console shows no panic text.

Lines of Debian's kdump-tools and of dracut's kdump module, whose crash kernels both run makedumpfile.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from lambdas.incident import ConsoleBaseline

Phase = Literal["waiting", "crash-kernel", "dumping", "saved"]

# [    0.000000] Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) …
_BANNER = re.compile(r"Linux version \d")
# [    0.000000] Command line: BOOT_IMAGE=… elfcorehdr=0x3c000000 …
_COMMAND_LINE = re.compile(r"Command line: (?P<arguments>.*)")
# Copying data                                      : [ 45.3 %] -           eta: 3s
_COPYING = re.compile(r"Copying data\s*:\s*\[\s*(?P<percent>\d{1,3})(?:\.\d+)?\s*%\]")
# kdump-tools[217]: running makedumpfile … · kdump[530]: saving vmcore · Checking for memory holes … : [100.0 %]
_DUMPING = re.compile(r"running makedumpfile|kdump(?:\.sh)?\[\d+\]: saving vmcore$|Copying data", re.MULTILINE)
# kdump-tools[217]: saved vmcore in /var/crash/… · kdump[530]: saving vmcore complete · The dumpfile is saved to …
_SAVED = re.compile(r"saved vmcore in|saving vmcore complete|The dumpfile is saved to")


@dataclass(frozen=True)
class Progress:
    """`percent` only while makedumpfile copies."""

    phase: Phase
    detail: str
    percent: int | None = None

    @property
    def saw_crash_kernel(self) -> bool:
        """Whether the console proves that the kernel panicked into its crash kernel."""
        return self.phase != "waiting"


def read_progress(console: str, *, baseline: ConsoleBaseline | None) -> Progress:
    """`baseline`: the console's end before the interrupt; when it has scrolled away, all of the console is newer."""
    news = _after(console, baseline)
    started = _crash_kernel_start(news)
    since = news[started:] if started is not None else _without_banner(news)
    if not since:
        return Progress("waiting", "The console shows no crash kernel yet.")
    if saved := _SAVED.search(since):
        is_booting = _BANNER.search(since, saved.end()) is not None
        return Progress("saved", "The vmcore is saved; the instance " + ("boots." if is_booting else "goes down soon."))
    copying = [int(match["percent"]) for match in _COPYING.finditer(since)]
    if copying:
        return Progress("dumping", f"makedumpfile has copied {copying[-1]} %.", copying[-1])
    if _DUMPING.search(since):
        return Progress("dumping", "makedumpfile runs.")
    return Progress("crash-kernel", "The crash kernel boots.")


def _after(console: str, baseline: ConsoleBaseline | None) -> str:
    if baseline is None or not baseline.end:
        return console
    # Two boots can end in the very same lines: where the baseline was is surer than where its text is found first.
    if console[: baseline.length].endswith(baseline.end):
        return console[baseline.length :]
    found = console.find(baseline.end)
    return console if found < 0 else console[found + len(baseline.end) :]


def _without_banner(news: str) -> str:
    """EC2 keeps 64 KB of console: a long dump's own lines push the crash kernel's banner out. They prove it as well."""
    first = _DUMPING.search(news) or _SAVED.search(news)
    return news[first.start() :] if first else ""


def _crash_kernel_start(text: str) -> int | None:
    """Where the last kernel started whose command line says that it is there to save another one's memory."""
    start = None
    banners = [match.start() for match in _BANNER.finditer(text)]
    for banner, following in pairwise([*banners, len(text)]):
        command_line = _COMMAND_LINE.search(text, banner, following)
        if command_line and "elfcorehdr=" in command_line["arguments"]:
            start = banner
    return start
