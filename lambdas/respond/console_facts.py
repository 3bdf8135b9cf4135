"""Reads the last boot from the serial console: its time, its kernel, and whether it is the crash kernel. Pure.

The console is EC2's only trace of a reboot: LaunchTime is the time of the last start, and the state stays `running`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# [    0.000000] Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) …
_BANNER = re.compile(r"Linux version (?P<release>\d\S*)")
# [    0.000000] Command line: BOOT_IMAGE=… elfcorehdr=0x3c000000 …
_CRASH_KERNEL = re.compile(r"Command line: .*\belfcorehdr=")
# Cloud-init v. 19.3-46.amzn2.0.1 running 'init-local' at Thu, 16 Nov 2023 08:38:02 +0000. Up 4.03 seconds.
# Cloud-init v. 23.4.4 finished at Fri, 27 Nov 2026 00:10:00 +0000. Datasource DataSourceEc2Local.  Up 12.31 seconds
_DATED = re.compile(
    r"Cloud-init v\. \S+ (?:running '[^']*'|finished) at \w{3}, (?P<at>\d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2}) \+0000\."
    r"[^\n]{0,200}?\bUp (?P<up>\d+)(?:\.\d+)? seconds"
)


@dataclass(frozen=True)
class ConsoleFacts:
    """`booted_epoch` 0: no line dates the last boot. `kernel` empty: the start of the boot is not on the console."""

    booted_epoch: int = 0
    # A boot began after the last dated one: it is under way, or it hung before a line could date it.
    is_booting: bool = False
    kernel: str = ""
    is_crash_kernel: bool = False


def read_console_facts(console: str) -> ConsoleFacts:
    """Reads the console's last 64 KiB. Facts stay unknown if the console shows no date or the lines scrolled away."""
    banners = list(_BANNER.finditer(console))
    dated = list(_DATED.finditer(console))
    began = banners[-1].start() if banners else 0
    is_crash_kernel = bool(banners) and _CRASH_KERNEL.search(console, began) is not None
    return ConsoleFacts(
        booted_epoch=_booted_epoch(dated[-1]) if dated else 0,
        is_booting=bool(dated) and dated[-1].start() < began and not is_crash_kernel,
        kernel=banners[-1]["release"] if banners else "",
        is_crash_kernel=is_crash_kernel,
    )


def _booted_epoch(line: re.Match[str]) -> int:
    try:
        at = datetime.strptime(line["at"], "%d %b %Y %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:  # 31 Feb: not a line of cloud-init
        return 0
    return int((at - timedelta(seconds=int(line["up"]))).timestamp())
