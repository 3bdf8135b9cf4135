"""Finds in a kernel's log why it panicked. Pure; text that no pattern knows gives nothing, never a guess."""

import re
from dataclasses import dataclass

# [ 1234.567890] Kernel panic - not syncing: NMI: Not continuing
_PANIC = re.compile(r"Kernel panic - not syncing: .*")
# With panic_on_oops the crash kernel starts inside the oops, before any panic line:
# [   99.1] BUG: kernel NULL pointer dereference, address: 0000000000000000 · Oops: 0002 [#1] PREEMPT SMP NOPTI
_OOPS = re.compile(r"(?:BUG: |Oops: |general protection fault|watchdog: BUG: |kernel BUG at |sysrq: Trigger a crash).*")
# NMI: Not continuing, or in the trace: nmi_panic+0x…
_NMI = re.compile(r"NMI: Not continuing|\bnmi_panic\b|NMI received for unknown reason")
# Linux version 6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) …
_VERSION = re.compile(r"Linux version (\S+)")
# … Comm: spin Not tainted 6.1.0-18-cloud-amd64 #1 · … Comm: bad Tainted: G           OE      5.14.0-427.el9.x86_64 #1
_TAINT = re.compile(r"(?:Not tainted|Tainted: [A-Z ]+?)\s+(\d+\.\d+\S*) #")

_LONGEST_LINE = 300


@dataclass(frozen=True)
class Panic:
    """`line` without its time stamp; "" for what the log does not tell."""

    line: str = ""
    is_nmi: bool = False
    kernel: str = ""


def read_panic(log: str) -> Panic:
    """Of vmcore-dmesg.txt: the panic, or the last oops, and the kernel that had it."""
    panic = _PANIC.search(log)
    if panic is None:
        oopses = list(_OOPS.finditer(log))
        # The last trouble's first line: an "Oops:" or trace follows its "BUG:" at once.
        panic = next((match for match in reversed(oopses) if not match[0].startswith("Oops: ")), None) or (
            oopses[-1] if oopses else None
        )
    version = _VERSION.search(log) or _TAINT.search(log)
    return Panic(
        line=panic[0].strip()[:_LONGEST_LINE] if panic else "",
        is_nmi=_NMI.search(log) is not None,
        kernel=version[1] if version else "",
    )
