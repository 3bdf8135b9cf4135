"""What the demo can be told to vary. Owns the allowed values, and how to see that a run really was of its variant."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lab.guest.hardware import Hardware
from lab.image.release import DEFAULT_RELEASE, Release
from lambdas.runtime.stack_parameter import DumpVolumePlace

if TYPE_CHECKING:
    from lab.aws.account import LabAccount
    from lab.guest.qemu_guest import QemuGuest

FileSystem = Literal["xfs", "ext4"]
FinalAction = Literal["reboot", "poweroff"]
FILE_SYSTEMS: tuple[FileSystem, ...] = get_args(FileSystem)
# Whether its owner hardened it before it was enrolled, see harden.sh.
Hardened = Literal["no", "yes"]
HARDENED: tuple[Hardened, ...] = get_args(Hardened)
DUMP_VOLUMES: tuple[DumpVolumePlace, ...] = get_args(DumpVolumePlace)
FINAL_ACTIONS: tuple[FinalAction, ...] = get_args(FinalAction)
# The dump volume is sized by what DescribeInstanceTypes says of the type: it must have the guest's memory.
INSTANCE_TYPES: Mapping[int, str] = {1024: "t3.micro", 2048: "t3.small", 4096: "t3.medium", 8192: "t3.large"}

_OBSERVE = Path(__file__).with_name("observe.sh").read_text()


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The defaults are those of `make demo`, and of the stack's own settings."""

    release: Release = DEFAULT_RELEASE
    file_system: FileSystem = "xfs"
    final_action: FinalAction = "reboot"
    memory_mib: int = 1024
    hardened: Hardened = "no"
    dump_volume: DumpVolumePlace = "attached"

    @property
    def instance_type(self) -> str:
        """The EC2 type with this memory."""
        return INSTANCE_TYPES[self.memory_mib]

    @property
    def hardware(self) -> Hardware:
        """The computer for it."""
        return Hardware(memory_mib=self.memory_mib, product=self.instance_type)

    def provision_input(self) -> dict[str, Any]:
        """For ProvisionDumpVolume; nothing of what the settings say already."""
        own, default = self._provisioned(), Variant()._provisioned()
        return {key: value for key, value in own.items() if value != default[key]}

    def _provisioned(self) -> dict[str, Any]:
        return {
            "fileSystem": self.file_system,
            "finalAction": self.final_action,
            "dumpVolume": self.dump_volume,
        }

    def __str__(self) -> str:
        hardened = ", hardened" if self.hardened == "yes" else ""
        parked = ", parked" if self.dump_volume == "parked" else ""
        return (
            f"{self.release}, {self.file_system}, {self.final_action}, {self.memory_mib} MiB ({self.instance_type})"
            + hardened
            + parked
        )


@dataclass(frozen=True)
class Observed:
    """What guest and account show after the dump came home."""

    release: str
    file_system: str
    reserved_mib: int
    memory_mib: int
    times_stopped: int
    hardened: str = "no"
    # By guest and account: parked is a volume that is nowhere.
    dump_volume: str = "attached"

    def contradictions(self, variant: Variant) -> list[str]:
        """Where the run was of another variant than it claims."""
        stops = {"reboot": 0, "poweroff": 1}[variant.final_action]
        # Firmware, kernel and rounding take some of it: never a tenth.
        is_memory_right = 0.9 * variant.memory_mib < self.memory_mib <= variant.memory_mib
        claims = {
            f"the guest runs {self.release}": self.release == variant.release,
            f"the dump volume is {self.file_system}": self.file_system == variant.file_system,
            f"the instance was stopped {self.times_stopped} times, not {stops}": self.times_stopped == stops,
            f"the guest has {self.memory_mib} MiB": is_memory_right,
            f"the dump volume is {self.dump_volume}": self.dump_volume == variant.dump_volume,
            f"whether sysctl.d hardens it: {self.hardened}": self.hardened == variant.hardened,
        }
        return [claim for claim, holds in claims.items() if not holds]


def observe(account: "LabAccount", guest: "QemuGuest") -> Observed:
    """Look, while the guest is up."""
    done = guest.run(_OBSERVE, environment={}, timeout_seconds=60)
    release, file_system, reserved_bytes, total_kib, hardened, dump_volume = done.stdout.split()
    reserved_mib = int(reserved_bytes) // 2**20
    return Observed(
        release=release,
        file_system=file_system,
        reserved_mib=reserved_mib,
        # MemTotal leaves the reservation out.
        memory_mib=int(total_kib) // 2**10 + reserved_mib,
        times_stopped=len(account.events.matching("ec2", "instance stopped")),
        hardened=hardened,
        dump_volume=dump_volume,
    )
