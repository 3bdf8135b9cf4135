"""Reads the serial console: the last boot, whether it is a crash kernel, and what the kernel says of a hang. Pure.

The console is EC2's only trace of a reboot: LaunchTime is the time of the last start, and the state stays `running`.
Its text comes from the instance: it can be cut anywhere, hold anything, and lie. What cannot be read is unknown.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from lambdas.instance.console_lines import BANNER, CRASH_KERNEL, DUMPING, SAVED, STEP
from lambdas.respond.complaints import HUNG_TASK, LOCKUP, Complaint

# ESC[0;32m · ESC[?25l · ESC(B · ESC]0;title BEL, and control characters that move nothing to another line
_INVISIBLE = re.compile(
    r"\x1b(?:\[[0-?]{0,32}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,200}\x07|[()][0-9A-Za-z]|[=>78cDEHMNOZ])"
    r"|[\x00-\x08\x0e-\x1b\x7f]"
)

# A boot of a `quiet` system (Amazon Linux 2023) prints no banner; GRUB's line and the login line show its kernel.
# Booting `Amazon Linux (6.12.79-101.147.amzn2023.x86_64) 2023'
# Before it: SeaBIOS (version 1.16.3) · Booting from Hard Disk 0... · GRUB loading. · GNU GRUB  version 2.06
_BOOT_LOADER = re.compile(
    r"Booting `[^'\n]{0,200}'|SeaBIOS \(version|Booting from Hard Disk|GRUB loading|Welcome to GRUB!|GNU GRUB +version"
)
_RELEASE_IN_TITLE = re.compile(r"\((?P<release>\d[\w.+~-]{2,127})\)|with Linux (?P<debian>\d[\w.+~-]{2,127})")
# Kernel 6.12.79-101.147.amzn2023.x86_64 on an x86_64 (-) · on a console of Debian: Debian GNU/Linux 12 host ttyS0
_LOGIN = re.compile(r"^Kernel (?P<release>\d\S{1,127}) on an \w+", re.MULTILINE)
# ip-10-0-0-1 login: , with whatever is printed next behind it, as getty leaves the cursor there
_LOGIN_PROMPT = re.compile(r"\blogin: *$|^[\w.-]{1,253} login: ")
# [86400.123456] reboot: Restarting system · before 3.11 without "reboot: " · kexec_core: Starting new kernel
_RESTART = re.compile(r"\] (?:\w{1,20}: )?(?:Restarting system|Power down|System halted|Starting new kernel)\b")
# Cloud-init v. 19.3-46.amzn2.0.1 running 'init-local' at Thu, 16 Nov 2023 08:38:02 +0000. Up 4.03 seconds.
# Cloud-init v. 23.4.4 finished at Fri, 27 Nov 2026 00:10:00 +0000. Datasource DataSourceEc2Local.  Up 12.31 seconds
_DATED = re.compile(
    r"Cloud-init v\. \S{1,100} (?:running '[^']{0,100}'|finished) at "
    r"\w{3}, (?P<at>\d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2}) \+0000\."
    r"[^\n]{0,200}?\bUp (?P<up>\d{1,9})(?:\.\d+)? seconds"
)
# hangdump-ready boot=<boot id> kernel=<release> config=<id> at=<epoch> up=<seconds>, printed by hangdump-ready.service
# after kdump's service; without the times where an older configure_kdump installed it
_READY = re.compile(
    r"hangdump-ready boot=[0-9a-f-]{36} kernel=(?P<release>\d[\w.+~-]{1,127}) config=(?P<config>[0-9a-f]{16})\b"
    r"(?: at=(?P<at>\d{1,10}) up=(?P<up>\d{1,9})\b)?"
)
_PANIC = re.compile(r"\] Kernel panic - not syncing: ")
# [   12.345678] text · with CONFIG_PRINTK_CALLER [   12.345678][    T1] text
_TIMESTAMP = re.compile(r"\[ *(?P<seconds>\d{1,9})\.\d{6}\]")
# guest login: [   12.345678] text · another CPU's text in the same line
_INSIDE = re.compile(r"(?<=.)(?=\[ *\d{1,9}\.\d{6}\])")
# A kernel that printed this late does not print again this early: another one boots.
_LATE_SECONDS, _EARLY_SECONDS = 10, 2
# A boot can wait for a check of a large file system. A kernel that prints later than this has booted.
_LONGEST_BOOT_SECONDS = 3600
# In the year 2106. No boot of today has a later date.
_LATEST_EPOCH = 2**32


@dataclass(frozen=True)
class Ready:
    """What hangdump-ready.service printed in the last boot: this kernel has loaded kdump with this configuration."""

    kernel: str
    config: str


@dataclass(frozen=True)
class ConsoleFacts:
    """`booted_epoch` 0: no line dates the last boot. `kernel` empty: no line names it."""

    booted_epoch: int = 0
    # The console shows the last boot's beginning, and nothing yet of its end: it is under way, or it hung.
    is_booting: bool = False
    kernel: str = ""
    # The kernel has panicked, and nothing of a later boot follows.
    is_crash_kernel: bool = False
    ready: Ready | None = None
    # What the last boot's kernel says of hangs, whenever.
    complaints: tuple[Complaint, ...] = ()


@dataclass
class _Boot:
    """One boot as far as the console shows it."""

    facts: ConsoleFacts = field(default_factory=ConsoleFacts)
    # Its beginning is on the console.
    is_visible: bool = False
    # Seconds after the boot of the last kernel line; -1: none yet.
    seconds: int = -1
    has_banner: bool = False
    is_dated: bool = False
    has_login: bool = False
    complaints: list[Complaint] = field(default_factory=list)

    def know(self, **facts: object) -> None:
        self.facts = replace(self.facts, **facts)  # type: ignore[arg-type]


class _Reader:
    """Follows the console line by line from boot to boot."""

    def __init__(self) -> None:
        self.boot = _Boot()
        self._dated_epoch = 0

    def facts(self) -> ConsoleFacts:
        """Of the last boot."""
        boot = self.boot
        # Where an earlier boot was dated, a login without a date leaves doubt which boot it is of.
        is_late = boot.has_login or boot.seconds > _LONGEST_BOOT_SECONDS
        has_booted = boot.is_dated or boot.facts.ready is not None or (is_late and not self._dated_epoch)
        return replace(
            boot.facts,
            booted_epoch=self._dated_epoch,
            is_booting=boot.is_visible and not has_booted and not boot.facts.is_crash_kernel,
            complaints=tuple(boot.complaints),
        )

    def read(self, line: str) -> None:
        pieces = [each for each in _INSIDE.split(_INVISIBLE.sub("", line)) if each.strip()]
        for number, text in enumerate(pieces):
            if stamp := _TIMESTAMP.match(text):
                self.timestamp(int(stamp["seconds"]), is_inside=number > 0)
            for pattern, act in _ACTS:
                if match := pattern.search(text):
                    act(self, match)

    def begin(self) -> None:
        """Another kernel boots."""
        self.boot = _Boot(is_visible=True)

    def end_crash(self) -> None:
        """A line of a boot that is no crash kernel."""
        if self.boot.facts.is_crash_kernel:
            self.begin()

    def timestamp(self, seconds: int, *, is_inside: bool) -> None:
        if seconds <= _EARLY_SECONDS:
            if is_inside and self.boot.seconds >= _LATE_SECONDS:
                # A kernel that boots begins a line; this is a log that somebody prints.
                return
            if self.boot.seconds >= _LATE_SECONDS:
                self.begin()
            self.boot.is_visible = self.boot.is_visible or self.boot.seconds < 0
        self.boot.seconds = seconds

    def restart(self, _match: re.Match[str]) -> None:
        # After a dump, the crash kernel is current until something of the next boot follows.
        if not self.boot.facts.is_crash_kernel:
            self.begin()

    def boot_loader(self, match: re.Match[str]) -> None:
        self.begin()
        if title := _RELEASE_IN_TITLE.search(match[0]):
            self.boot.know(kernel=title["release"] or title["debian"])

    def banner(self, match: re.Match[str]) -> None:
        # GRUB's line and the banner that follows it are of one boot.
        if self.boot.has_banner or self.boot.seconds > _EARLY_SECONDS or self.boot.is_dated:
            self.begin()
        self.boot.has_banner = self.boot.is_visible = True
        self.boot.know(kernel=match["release"], is_crash_kernel=False)

    def dated(self, match: re.Match[str]) -> None:
        epoch = _booted_epoch(match)
        if epoch:
            self.end_crash()
            self.date(epoch)

    def date(self, epoch: int) -> None:
        self.boot.is_dated, self._dated_epoch = True, epoch

    def login(self, match: re.Match[str]) -> None:
        self.end_crash()
        self.boot.has_login = True
        if "release" in match.groupdict():
            self.boot.know(kernel=match["release"])

    def ready(self, match: re.Match[str]) -> None:
        self.end_crash()
        self.boot.know(ready=Ready(match["release"], match["config"]))
        if match["at"] and 0 < (epoch := int(match["at"]) - int(match["up"])) < _LATEST_EPOCH:
            self.date(epoch)

    def crash(self, _match: re.Match[str]) -> None:
        self.boot.know(is_crash_kernel=True)

    def lockup(self, _match: re.Match[str]) -> None:
        self.boot.complaints.append(Complaint(max(0, self.boot.seconds)))

    def hung_task(self, match: re.Match[str]) -> None:
        seconds = max(0, self.boot.seconds)
        self.boot.complaints.append(Complaint(seconds, match["task"], int(match["seconds"])))


# In this order for each line, after its time.
_ACTS: tuple[tuple[re.Pattern[str], Callable[[_Reader, re.Match[str]], None]], ...] = (
    (_BOOT_LOADER, _Reader.boot_loader),
    (_RESTART, _Reader.restart),
    (BANNER, _Reader.banner),
    (CRASH_KERNEL, _Reader.crash),
    (_LOGIN, _Reader.login),
    (_LOGIN_PROMPT, _Reader.login),
    (_DATED, _Reader.dated),
    (_READY, _Reader.ready),
    # Only a crash kernel prints these, also a `quiet` one and one whose banner 64 KiB of progress have pushed out.
    (STEP, _Reader.crash),
    (DUMPING, _Reader.crash),
    (SAVED, _Reader.crash),
    (_PANIC, _Reader.crash),
    (LOCKUP, _Reader.lockup),
    (HUNG_TASK, _Reader.hung_task),
)


def read_console_facts(console: str) -> ConsoleFacts:
    """Reads the console's last 64 KiB. Facts stay unknown if the console shows no date or the lines scrolled away."""
    reader = _Reader()
    for line in console.splitlines():
        reader.read(line)
    return reader.facts()


def has_text(console: str) -> bool:
    """Whether there is anything to read: a console without text says nothing about a dump either."""
    return any(each.isprintable() and not each.isspace() for each in _INVISIBLE.sub("", console))


def _booted_epoch(line: re.Match[str]) -> int:
    """0 for a date that is none (31 Feb), and for one that no boot of today can have."""
    try:
        at = datetime.strptime(line["at"], "%d %b %Y %H:%M:%S").replace(tzinfo=UTC)
        epoch = int((at - timedelta(seconds=int(line["up"]))).timestamp())
    except (ValueError, OverflowError):
        return 0
    return epoch if 0 < epoch < _LATEST_EPOCH else 0
