"""What the emulated account asks of a computer: the QEMU guest gives it, tests give it with a scripted one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol


class MachineUnreachable(Exception):
    """Nothing inside the machine answered in the time given: hung, booting, or off."""


class CannotExecute(Exception):
    """The agent lives and says that it cannot start the script: no process or memory is left."""


@dataclass(frozen=True)
class Counters:
    """What the hypervisor counted since the power-on, whatever the guest does: seconds of all processors, operations
    of all disks that have ended."""

    cpu_seconds: float
    processors: int
    reads: int
    writes: int


@dataclass(frozen=True)
class Completed:
    """A script that ran to its end inside the machine."""

    exit_code: int
    stdout: str
    stderr: str


class Machine(Protocol):
    """One computer, seen from outside (power, disks, NMI, serial log) and through its agent (run)."""

    def is_running(self) -> bool:
        """Powered on; says nothing about whether the operating system lives."""

    def answers_arp(self, timeout_seconds: float) -> bool:
        """Whether the kernel answers for its address on the network; user space has no part in it."""

    def answers(self, timeout_seconds: float) -> bool:
        """Whether the agent answers within the time given, over the network."""

    def counters(self) -> Counters | None:
        """None: it is off, or nobody counts."""

    def stalled_volumes(self) -> Collection[str]:
        """The attached volumes that complete no input or output."""

    def run(self, script: str, *, environment: Mapping[str, str], timeout_seconds: float) -> Completed:
        """Execute `script` as the SSM agent would, `sh -c <file>`; raises MachineUnreachable, CannotExecute or
        TimeoutError."""

    def attach_disk(self, volume_id: str, size_gib: int, device: str, *, snapshot_id: str = "") -> None:
        """Hot-plug an NVMe disk whose serial is the volume id without its dash. A new volume is empty or what
        `snapshot_id` is a copy of; a known one keeps its data. Of a machine that is off it is there at its start."""

    def detach_disk(self, volume_id: str) -> None:
        """Unplug it; its data stays for a later attach."""

    def copy_disk(self, volume_id: str, snapshot_id: str) -> None:
        """Keep a copy of the disk, as it is at this moment, for other machines of the account."""

    def inject_nmi(self) -> None:
        """Deliver a non-maskable interrupt to the processors."""

    def reboot(self) -> None:
        """Restart the operating system from inside, or by reset when it does not answer."""

    def start(self) -> None:
        """Power on."""

    def stop(self) -> None:
        """Power off, orderly when it answers."""

    def console(self) -> str:
        """The whole serial log since the first start."""
