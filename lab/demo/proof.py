"""Opens the vmcore that came out of the bucket and shows that the panic in it is the one of this run.

Holds the report against what the demo itself did.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import drgn

from analysis.command_line import UserError

# "[   63.512345] Kernel panic - not syncing: NMI: Not continuing"
PANIC = re.compile(r"Kernel panic - not syncing: (.+)")
# What the NMI handler says when kernel.unknown_nmi_panic is on (arch/x86/kernel/nmi.c, unknown_nmi_error).
NMI_PANIC = "NMI: Not continuing"


class NotProven(UserError):
    """The vmcore does not open, or is not the dump of this run's diagnostic interrupt."""


@dataclass(frozen=True)
class Proof:
    """What the vmcore itself says."""

    kernel: str
    crashed_at: datetime
    panic_line: str
    dmesg: str


@dataclass(frozen=True)
class Culprit:
    """What the report must name: the task that hung the machine, and the CPU on which it was found."""

    task: str
    cpu: int


def prove_report(page: Path, triage: Mapping[str, Any], *, spinner: str) -> Culprit:
    """Hold the report against the process that we made spin; raises NotProven with what it does not say.

    `triage` is triage.json; whether the panic is right is shown by the dump itself.
    """
    # The kernel keeps 15 characters of a name: /proc/<pid>/comm
    planted, task, cpu = spinner[:15], (triage.get("task") or {}).get("name"), triage.get("crashingCpu")
    if task != planted or cpu is None:
        raise NotProven(f"triage.json names {task!r} on CPU {cpu}, not {planted}, which was made to spin")
    marked = re.findall(r'<li class="marked">(.*?)</li>', page.read_text(encoding="utf-8"), re.DOTALL)
    is_marked = len(marked) == 1 and re.search(rf"CPU {cpu},? interrupted here", marked[0]) and planted in marked[0]
    if not is_marked:
        raise NotProven(f"{page} does not mark {planted} on CPU {cpu}; see its section CPUs")
    return Culprit(planted, cpu)


@contextmanager
def reassembled(vmcore: Path) -> Iterator[Path]:
    """The dump as crash and drgn like it best: Debian's kdump-tools writes the flattened format."""
    with vmcore.open("rb") as file:
        is_flattened = file.read(12) == b"makedumpfile"
    if not is_flattened:
        yield vmcore
        return
    with tempfile.TemporaryDirectory() as scratch, vmcore.open("rb") as flattened:
        plain = Path(scratch) / "vmcore"
        done = subprocess.run(
            ["makedumpfile", "-R", str(plain)], stdin=flattened, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise NotProven(f"makedumpfile cannot reassemble {vmcore}: {done.stdout.strip()} {done.stderr.strip()}")
        yield plain


def vmcoreinfo_of(vmcore: Path) -> dict[str, str]:
    """The key=value notes that the dying kernel left in its dump."""
    program = drgn.Program()
    try:
        program.set_core_dump(vmcore)
        text = program["VMCOREINFO"].string_().decode()
    except (ValueError, LookupError, drgn.FaultError, OSError) as error:
        raise NotProven(f"{vmcore} does not open as a kernel dump: {error}") from error
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def dmesg_of(vmcore: Path) -> str:
    """The kernel log inside the dump, by makedumpfile, which needs no symbols."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "dmesg"
        done = subprocess.run(
            ["makedumpfile", "--dump-dmesg", str(vmcore), str(log)], check=False, capture_output=True, text=True
        )
        if not log.exists():
            raise NotProven(
                f"makedumpfile finds no kernel log in {vmcore}: {done.stdout.strip()} {done.stderr.strip()}"
            )
        return log.read_text(errors="replace")


def prove(vmcore: Path, *, hung_at: datetime, collected_at: datetime) -> Proof:
    """Read the dump and hold it against the clock of this run; raises NotProven with what is wrong."""
    with reassembled(vmcore) as plain:
        info, dmesg = vmcoreinfo_of(plain), dmesg_of(plain)
    # CRASHTIME is the wall clock of the moment of the panic, in whole seconds (kernel/crash_core.c).
    crashed_at = datetime.fromtimestamp(int(info.get("CRASHTIME", "0")), tz=UTC)
    if not hung_at.replace(microsecond=0) <= crashed_at <= collected_at:
        raise NotProven(f"the dump is of {crashed_at}, not between the hang at {hung_at} and now, {collected_at}")
    panics = PANIC.findall(dmesg)
    if NMI_PANIC not in panics:
        raise NotProven(f"no NMI panic in the kernel log of {vmcore}; panics found: {panics or 'none'}")
    return Proof(kernel=info["OSRELEASE"], crashed_at=crashed_at, panic_line=NMI_PANIC, dmesg=dmesg)
