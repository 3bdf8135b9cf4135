"""A Debian host without a shell: power, disks and a kernel that crashes, said in Python. Owns the disk and the kernel.

What its documents answer is in modelled_documents.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from lab.aws.state import AccountState
from lab.machines.composed_dump import LOG_TEXT, kdump_compressed, memory_with_log
from lab.machines.machine import Completed, MachineUnreachable
from lab.simulator.scheduler import scheduler

MOUNT_POINT = "/var/crash"
_DUMP = kdump_compressed(memory_with_log())
_KERNEL = "Linux version 6.1.0-28-cloud-amd64\n"

# Snapshot → the file system on it.
_FILE_SYSTEMS: dict[str, str] = {}

BOOT_SECONDS = 30.0
DUMP_SECONDS = 40.0


@dataclass
class Dump:
    """A vmcore on the dump volume, with the kernel's log beside it."""

    path: str
    content: bytes
    modified_epoch: int
    is_complete: bool
    dmesg: bytes


# Snapshot → the dumps that were on its volume: all machines of an account see the same.
Snapshots = dict[str, list[Dump]]


@dataclass
class BareHost:
    """Implements lab.machines.machine.Machine, but for the answers of its documents."""

    account: AccountState
    snapshots: Snapshots
    on_removal: Callable[[Dump], None]
    # Memory for a crash kernel is reserved by the first boot after its configuration.
    is_reserved: bool = False
    is_configured: bool = False
    is_ready: bool = True
    final_action: str = "reboot"
    panics_on_nmi: bool = True
    writes_dump: bool = True
    completes_dump: bool = True
    # Document -> the error that it answers with.
    fails_with: dict[str, dict[str, str]] = field(default_factory=dict)
    # Document -> what it prints instead, when it succeeds.
    prints: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Document -> what happens right before it answers.
    before: dict[str, Callable[[], object]] = field(default_factory=dict)
    # In the place of the crash.
    on_nmi: Callable[[], None] | None = None
    # When a document has hung it.
    on_hang: Callable[[], object] = lambda: None
    content: bytes = _DUMP
    dmesg: bytes = LOG_TEXT.encode()
    boot_seconds: float = BOOT_SECONDS
    # Goes off as soon as it is switched on.
    is_broken: bool = False
    is_on: bool = True
    is_hung: bool = False
    answers_from: float = 0.0
    booted_at: float = 0.0
    reboots: int = 0
    starts: int = 0
    documents_run: list[str] = field(default_factory=list)
    nmis: list[float] = field(default_factory=list)
    written: list[Dump] = field(default_factory=list)
    disk: list[Dump] = field(default_factory=list)
    # On a copied volume, beside the dumps, relative to the mount point.
    foreign_files: list[str] = field(default_factory=list)
    # Volume → the dumps that it came with.
    plugged: Snapshots = field(default_factory=dict)
    # How long its crash kernel waits for a parked dump volume; 0: the volume is not parked.
    waits_seconds: float = 0.0
    is_mounted: bool = True
    can_park: bool = True
    # The file systems by volume; the one that its crash kernel waits for, and how many it has made.
    file_systems: dict[str, str] = field(default_factory=dict)
    waits_for: str = ""
    file_systems_made: int = 0
    log: str = f"{_KERNEL}login:\n"

    def __post_init__(self) -> None:
        self.booted_at = scheduler.now - 7200

    def forget(self) -> None:
        """Whatever happened to it so far."""
        for each in (self.nmis, self.written, self.disk, self.documents_run):
            each.clear()
        self.reboots = self.starts = 0
        self.log = f"{_KERNEL}login:\n"

    # ---- from outside

    def is_running(self) -> bool:
        return self.is_on

    def answers_arp(self, timeout_seconds: float) -> bool:
        """Its hangs are those of a deaf kernel."""
        return self.answers(timeout_seconds)

    def counters(self) -> None:
        """Nobody counts."""

    def stalled_volumes(self) -> tuple[str, ...]:
        return ()

    def answers(self, timeout_seconds: float) -> bool:
        if self._lives():
            return True
        scheduler.sleep(timeout_seconds if self.is_on else 0)
        return self._lives()

    def _lives(self) -> bool:
        return self.is_on and not self.is_hung and scheduler.now >= self.answers_from

    def attach_disk(self, volume_id: str, size_gib: int, device: str, *, snapshot_id: str = "") -> None:
        self.plugged[volume_id] = self.snapshots.get(snapshot_id, [])
        if volume_id in self.file_systems:
            return
        # A new volume: blank, or of a snapshot.
        self.file_systems[volume_id] = _FILE_SYSTEMS.get(snapshot_id, "")
        if self.waits_seconds:
            self.disk = []

    def copy_disk(self, volume_id: str, snapshot_id: str) -> None:
        self.snapshots[snapshot_id] = [replace(dump) for dump in self.disk]
        _FILE_SYSTEMS[snapshot_id] = self.file_systems.get(volume_id, "")

    def detach_disk(self, volume_id: str) -> None:
        del self.plugged[volume_id]

    def dumps(self) -> list[Dump]:
        """What lies below /var/crash: nothing without the dump volume."""
        return self.disk if self.plugged and self.is_mounted else []

    def reboot(self) -> None:
        self.reboots += 1
        self._boot()

    def start(self) -> None:
        self.starts += 1
        self.is_on = not self.is_broken
        self._boot()

    def stop(self) -> None:
        self.is_on = False

    def console(self) -> str:
        return self.log

    def hang(self) -> None:
        self.is_hung = True

    def inject_nmi(self) -> None:
        """A second one while it dumps kills the dump, as on a real machine."""
        is_dumping = scheduler.now < self.answers_from
        self.nmis.append(scheduler.now)
        if is_dumping or not self.panics_on_nmi:
            self.is_hung = self.is_hung and is_dumping
            return
        scheduler.spawn(self.on_nmi or self._crash)

    def panic(self) -> None:
        scheduler.spawn(self._crash)

    def _crash(self) -> None:
        self.is_hung = True
        self.log += f"{_KERNEL}Command line: root=/dev/nvme0n1p1 elfcorehdr=0x3c000000\n"
        if not self._waits_for_volume():
            self.reboot()
            return
        self.answers_from = scheduler.now + DUMP_SECONDS + self.boot_seconds
        count, began = len(self.nmis), scheduler.now
        scheduler.sleep(DUMP_SECONDS)
        if len(self.nmis) > count and self.nmis[-1] > began:
            self.log += "Kernel panic\n"
            return
        if self.writes_dump:
            self._write_dump()
        if self.final_action == "poweroff":
            self.is_on = False
        else:
            self.reboot()

    def _waits_for_volume(self) -> bool:
        """As the real one does and says it; False: in vain."""
        self.answers_from = float("inf")
        waited = 0.0
        while self.waits_seconds and self.waits_for not in (self.file_systems[each] for each in self.plugged):
            if waited >= self.waits_seconds:
                self.log += f"hangdump: no dump volume within {waited:.0f} s: rebooting without a dump\n"
                return False
            if waited % 30 == 0:
                self.log += f"hangdump: waiting for the dump volume, {waited:.0f} of {self.waits_seconds:.0f} s\n"
            scheduler.sleep(5)
            waited += 5
        return True

    def _write_dump(self) -> None:
        at = int(scheduler.now)
        stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%d%H%M%S")
        dump = Dump(f"{MOUNT_POINT}/{stamp}/dump.{stamp}", self.content, at, self.completes_dump, self.dmesg)
        self.written.append(dump)
        self.disk.append(dump)
        self.log += "kdump-tools[217]: saved vmcore in /var/crash\n"

    def _boot(self) -> None:
        self.is_hung = False
        self.is_mounted = not self.waits_seconds
        self.is_reserved = self.is_reserved or self.is_configured
        self.booted_at = scheduler.now
        self.answers_from = scheduler.now + self.boot_seconds
        self.log += f"{_KERNEL}login:\n"

    # ---- from inside

    def run(self, script: str, *, environment: Mapping[str, str], timeout_seconds: float) -> Completed:
        if not self.answers(0):
            raise MachineUnreachable("the modelled host is hung, booting or off")
        # What the host does from here on is no call of ours.
        scheduler.current_context().clear()
        scheduler.sleep(1.0)
        return self._answer(script, environment)

    def _answer(self, script: str, environment: Mapping[str, str]) -> Completed:
        raise NotImplementedError
