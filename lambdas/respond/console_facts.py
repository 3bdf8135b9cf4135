"""Reads the serial console: the last boot, whether it is a crash kernel, and what the kernel says of a hang. Pure.

The console is EC2's only trace of a reboot: LaunchTime is the time of the last start, and the state stays `running`.
Its text comes from the instance: it can be cut anywhere, hold anything, and lie. What cannot be read is unknown.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from lambdas.instance.console_lines import BANNER, COMMAND_LINE, DUMPING, SAVED, STEP, is_of_crash_kernel

# A boot of a `quiet` system (Amazon Linux 2023) prints no banner; GRUB's line and the login line show its kernel.
# Booting `Amazon Linux (6.12.79-101.147.amzn2023.x86_64) 2023'
_BOOT_LOADER = re.compile(r"Booting `[^'\n]{0,200}'")
_RELEASE_IN_TITLE = re.compile(r"\((?P<release>\d[\w.+~-]{2,127})\)|with Linux (?P<debian>\d[\w.+~-]{2,127})")
# Kernel 6.12.79-101.147.amzn2023.x86_64 on an x86_64 (-) · on a console of Debian: Debian GNU/Linux 12 host ttyS0
_LOGIN = re.compile(r"^Kernel (?P<release>\d\S{1,127}) on an \w+", re.MULTILINE)
_LOGIN_PROMPT = re.compile(r"\blogin: *$")
# Cloud-init v. 19.3-46.amzn2.0.1 running 'init-local' at Thu, 16 Nov 2023 08:38:02 +0000. Up 4.03 seconds.
# Cloud-init v. 23.4.4 finished at Fri, 27 Nov 2026 00:10:00 +0000. Datasource DataSourceEc2Local.  Up 12.31 seconds
_DATED = re.compile(
    r"Cloud-init v\. \S{1,100} (?:running '[^']{0,100}'|finished) at "
    r"\w{3}, (?P<at>\d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2}) \+0000\."
    r"[^\n]{0,200}?\bUp (?P<up>\d{1,9})(?:\.\d+)? seconds"
)
# hangdump-ready boot=<boot id> kernel=<release> config=<id>, printed by hangdump-ready.service after kdump's service
_READY = re.compile(
    r"hangdump-ready boot=[0-9a-f-]{36} kernel=(?P<release>\d[\w.+~-]{1,127}) config=(?P<config>[0-9a-f]{16})\b"
)
_PANIC = re.compile(r"\] Kernel panic - not syncing: ")
# [   12.345678] text · with CONFIG_PRINTK_CALLER [   12.345678][    T1] text
_TIMESTAMP = re.compile(r"^\[ *(?P<seconds>\d{1,9})\.\d{6}\]", re.MULTILINE)
# A kernel that printed this late does not print again this early: another one boots.
_LATE_SECONDS, _EARLY_SECONDS = 10, 2

_LOCKUP = re.compile(
    r"BUG: soft lockup - CPU#\d+ stuck|Watchdog detected hard LOCKUP"
    r"|rcu: INFO: \S+ (?:self-)?detected (?:expedited )?stall|rcu_\w+ kthread starved|rcu_\w+ detected stalls on CPUs"
)
_HUNG_TASK = re.compile(r"INFO: task (?P<task>[^\n]{1,40}:\d{1,10}) blocked (?:in I/O wait )?for more than \d+ seconds")
# One report has several lines, and each locked up CPU its own; the next report comes after 20 s or more.
_REPORT_SECONDS = 10
# khungtaskd reports all tasks of a scan at once; scans are at least this far apart.
_SCAN_SECONDS = 30


@dataclass(frozen=True)
class Ready:
    """What hangdump-ready.service printed in the last boot: this kernel has loaded kdump with this configuration."""

    kernel: str
    config: str


@dataclass(frozen=True)
class ConsoleFacts:
    """`booted_epoch` 0: no line dates the last boot. `kernel` empty: no line names it."""

    booted_epoch: int = 0
    # A boot began after the last dated one: it is under way, or it hung before a line could date it.
    is_booting: bool = False
    kernel: str = ""
    # The kernel has panicked, and nothing of a later boot follows.
    is_crash_kernel: bool = False
    ready: Ready | None = None
    # What the last boot's kernel says of a hang: reports of lockups or RCU stalls, and hung tasks with the scans that
    # found them.
    lockups: int = 0
    hung_tasks: int = 0
    hung_task_scans: int = 0
    # Seconds after the boot of the first and the last such line.
    trouble_began_seconds: int = 0
    trouble_seconds: int = 0


@dataclass
class _Boot:
    """One boot as far as the console shows it."""

    facts: ConsoleFacts = field(default_factory=ConsoleFacts)
    # Seconds after the boot of the last kernel line; -1: none yet.
    seconds: int = -1
    has_banner: bool = False
    is_dated: bool = False
    # The last report of a lockup, in seconds after the boot.
    reported: int | None = None
    scans: list[int] = field(default_factory=list)
    tasks: set[str] = field(default_factory=set)

    def know(self, **facts: object) -> None:
        self.facts = replace(self.facts, **facts)  # type: ignore[arg-type]


class _Reader:
    """Follows the console line by line from boot to boot."""

    def __init__(self) -> None:
        self.boot = _Boot()
        self._dated_epoch = 0

    def facts(self) -> ConsoleFacts:
        """Of the last boot."""
        facts = self.boot.facts
        is_booting = bool(self._dated_epoch) and not self.boot.is_dated and not facts.is_crash_kernel
        if facts.ready is not None:
            is_booting = False
        return replace(
            facts,
            booted_epoch=self._dated_epoch,
            is_booting=is_booting,
            hung_tasks=len(self.boot.tasks),
            hung_task_scans=len(self.boot.scans),
        )

    def read(self, line: str) -> None:
        for pattern, act in _ACTS:
            if match := pattern.search(line):
                act(self, match)

    def begin(self) -> None:
        """Another kernel boots."""
        self.boot = _Boot()

    def end_crash(self) -> None:
        """A line of a boot that is no crash kernel."""
        if self.boot.facts.is_crash_kernel:
            self.begin()

    def timestamp(self, match: re.Match[str]) -> None:
        seconds = int(match["seconds"])
        if seconds <= _EARLY_SECONDS and self.boot.seconds >= _LATE_SECONDS:
            self.begin()
        self.boot.seconds = seconds

    def boot_loader(self, match: re.Match[str]) -> None:
        self.begin()
        if title := _RELEASE_IN_TITLE.search(match[0]):
            self.boot.know(kernel=title["release"] or title["debian"])

    def banner(self, match: re.Match[str]) -> None:
        # GRUB's line and the banner that follows it are of one boot.
        if self.boot.has_banner or self.boot.seconds > _EARLY_SECONDS or self.boot.is_dated:
            self.begin()
        self.boot.has_banner = True
        self.boot.know(kernel=match["release"], is_crash_kernel=False)

    def command_line(self, match: re.Match[str]) -> None:
        if is_of_crash_kernel(match):
            self.boot.know(is_crash_kernel=True)

    def dated(self, match: re.Match[str]) -> None:
        epoch = _booted_epoch(match)
        if epoch:
            self.end_crash()
            self.boot.is_dated, self._dated_epoch = True, epoch

    def login(self, match: re.Match[str]) -> None:
        self.end_crash()
        if "release" in match.groupdict():
            self.boot.know(kernel=match["release"])

    def ready(self, match: re.Match[str]) -> None:
        self.end_crash()
        self.boot.know(ready=Ready(match["release"], match["config"]))

    def crash(self, _match: re.Match[str]) -> None:
        self.boot.know(is_crash_kernel=True)

    def lockup(self, _match: re.Match[str]) -> None:
        at = self._trouble()
        if self.boot.reported is None or at - self.boot.reported >= _REPORT_SECONDS:
            self.boot.know(lockups=self.boot.facts.lockups + 1)
            self.boot.reported = at

    def hung_task(self, match: re.Match[str]) -> None:
        at = self._trouble()
        if not self.boot.scans or at - self.boot.scans[-1] >= _SCAN_SECONDS:
            self.boot.scans.append(at)
        self.boot.tasks.add(match["task"])

    def _trouble(self) -> int:
        at = max(0, self.boot.seconds)
        self.boot.know(trouble_began_seconds=self.boot.facts.trouble_began_seconds or at, trouble_seconds=at)
        return at


# In this order for each line.
_ACTS: tuple[tuple[re.Pattern[str], Callable[[_Reader, re.Match[str]], None]], ...] = (
    (_BOOT_LOADER, _Reader.boot_loader),
    (_TIMESTAMP, _Reader.timestamp),
    (BANNER, _Reader.banner),
    (COMMAND_LINE, _Reader.command_line),
    (_LOGIN, _Reader.login),
    (_LOGIN_PROMPT, _Reader.login),
    (_DATED, _Reader.dated),
    (_READY, _Reader.ready),
    # Only a crash kernel prints these, also a `quiet` one and one whose banner 64 KiB of progress have pushed out.
    (STEP, _Reader.crash),
    (DUMPING, _Reader.crash),
    (SAVED, _Reader.crash),
    (_PANIC, _Reader.crash),
    (_LOCKUP, _Reader.lockup),
    (_HUNG_TASK, _Reader.hung_task),
)


def read_console_facts(console: str) -> ConsoleFacts:
    """Reads the console's last 64 KiB. Facts stay unknown if the console shows no date or the lines scrolled away."""
    reader = _Reader()
    for line in console.splitlines():
        reader.read(line)
    return reader.facts()


def _booted_epoch(line: re.Match[str]) -> int:
    """0 for a date that is none (31 Feb), and for one that no boot of today can have."""
    try:
        at = datetime.strptime(line["at"], "%d %b %Y %H:%M:%S").replace(tzinfo=UTC)
        return max(0, int((at - timedelta(seconds=int(line["up"]))).timestamp()))
    except (ValueError, OverflowError):
        return 0
