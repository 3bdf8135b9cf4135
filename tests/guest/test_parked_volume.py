"""A host without its dump volume crashes; the volume is made of its snapshot and attached while the crash kernel waits.

One guest of each family goes through all crashes, one after the other, by the real documents; then it gets a dump
volume with another file system. With UPDATE_SNAPSHOTS=1 each run is noted in results/parked-volume.json and in
docs/parked-volume.md.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab.guest import QemuGuest, hang, wait_until
from lab.guest.qemu_guest import make_overlay
from tests.guest import parked_volume
from tests.guest.agent import BOOT_SECONDS, Agent
from tests.guest.conftest import UploadSink
from tests.guest.redhat_stand_in import become_redhat

pytestmark = [pytest.mark.guest, pytest.mark.nightly, pytest.mark.timeout(2400)]

NMI, PANIC, SECOND_NMI = "NMI, hung", "own panic", "NMI, hung; another NMI while it waits"
# Of a run in which the volume never comes.
_SHORT_WAIT = "30"
# As the crash kernel prints them.
_MARKS = {"waiting": "hangdump: waiting for the dump volume", "mounted": "hangdump: the dump volume is mounted after"}
_SAVED = {"debian": "kdump-tools: saved vmcore in", "redhat": "saving vmcore complete"}
_REBOOTS = f"hangdump: no dump volume within {_SHORT_WAIT} s: rebooting without a dump"
# The root's inode, and the descriptors of the block groups.
_VITAL_BLOCK = {"xfs": 64 << 10, "ext4": 4 << 10}
# kdump-tools writes these two whenever it loads the crash kernel.
_FILES_BENEATH = "find /var/crash -type f ! -name kexec_cmd ! -name kdump_lock"


@dataclass
class Host:
    """A guest whose dump volume is parked, and the snapshot of that volume."""

    guest: QemuGuest
    family: str
    file_system: str = ""
    volumes: int = 0
    snapshot_id: str = ""
    agent: Agent = field(init=False)

    def __post_init__(self) -> None:
        self.agent = Agent(self.guest)

    @property
    def volume_id(self) -> str:
        """The last volume that it had."""
        return f"vol-0d0c5{self.volumes:012}"

    def make_ready(self, file_system: str) -> None:
        """From the image, or from another parked volume, to a parked volume."""
        self.file_system = file_system
        self.volumes += 1
        self.guest.attach_disk(self.volume_id, 4, "/dev/sdf")
        prepared = self.agent.run("prepare_dump_volume", volumeId=self.volume_id, fileSystem=self.file_system)
        assert prepared["status"] == "prepared"
        assert self.agent.run("configure_kdump", reboot="true")["status"] in ("configured", "unchanged")
        assert self.agent.run("check_kdump", volumeId=self.volume_id)["ready"] is True
        self.park()

    def park(self, wait_seconds: str = "1200") -> None:
        """Unmounted, kept as a snapshot, detached; and ready."""
        assert self.agent.run("park_dump_volume", waitSeconds=wait_seconds)["status"] == "parked"
        if self.volume_id in self.guest.attached_volumes:
            self.guest.detach_disk(self.volume_id)
            self.snapshot_id = f"snap-{self.volumes:017}"
            self.guest.copy_disk(self.volume_id, self.snapshot_id)
        check = self.agent.run("check_kdump")
        assert (check["ready"], check["parked"], check["findings"]) == (True, True, [])

    def attach(self) -> None:
        """A new volume of the snapshot, as EC2 makes it."""
        self.volumes += 1
        self.guest.attach_disk(self.volume_id, 4, "/dev/sdf", snapshot_id=self.snapshot_id)

    def attach_damaged(self) -> None:
        """The same, but its file system, which begins at 1 MiB, has lost a block without which nothing mounts it."""
        self.volumes += 1
        disk = self.guest.volumes / f"{self.volume_id}.qcow2"
        make_overlay(disk, backing=self.guest.volumes / f"{self.snapshot_id}.qcow2")
        damage = f"write -P 0 {(1 << 20) + _VITAL_BLOCK[self.file_system]} 4096"
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", damage, str(disk)], check=True, capture_output=True)
        self.guest.attach_disk(self.volume_id, 4, "/dev/sdf")


@dataclass
class Crash:
    """One crash, and the seconds since its crash kernel's banner at which things were first seen."""

    host: Host
    cause: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = 0.0
    seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        guest = self.host.guest
        self._marks = _MARKS | {"saved": _SAVED[self.host.family]}
        self._old_boot, self._start = guest.boot_id(), len(guest.console())
        if self.cause == PANIC:
            guest.spawn("#!/bin/sh\necho c >/proc/sysrq-trigger\n")
        else:
            hang(guest)
            guest.inject_nmi()
        wait_until(lambda: "elfcorehdr=" in self.console, what="the crash kernel", timeout_seconds=120)
        self.began = time.monotonic()

    @property
    def console(self) -> str:
        """What it said since the crash."""
        return self.host.guest.console()[self._start :]

    @property
    def seconds(self) -> int:
        return round(time.monotonic() - self.began)

    def look(self) -> None:
        """Notes what is on the console for the first time."""
        console = self.console
        for name, text in self._marks.items():
            if text in console:
                self.seen.setdefault(name, self.seconds)

    def wait(self, seconds: int) -> None:
        """Until so long after the banner."""

        def is_over() -> bool:
            self.look()
            return time.monotonic() >= self.began + seconds

        wait_until(is_over, what="the moment to attach", timeout_seconds=seconds + 60)

    def wait_for(self, name: str) -> None:
        def is_seen() -> bool:
            self.look()
            return name in self.seen

        wait_until(is_seen, what=f"{self._marks[name]!r} on the console", timeout_seconds=BOOT_SECONDS)

    def wait_until_back(self) -> None:
        """The host's own kernel answers again."""
        wait_until(lambda: self.host.agent.is_back(self._old_boot), what="it is back", timeout_seconds=BOOT_SECONDS)
        self.seen["back"] = self.seconds

    def outcome(self, attached: int | None, dump_bytes: int = 0) -> dict[str, Any]:
        times = {name: self.seen.get(name) for name in parked_volume.TIMES}
        return {
            "family": self.host.family,
            "file_system": self.host.file_system,
            "cause": self.cause,
            "attached": attached,
            **times,
            "dump_mib": dump_bytes >> 20,
        }


@pytest.fixture(scope="module", params=["debian", "redhat"])
def newcomer(
    guest_image: Path,
    upload_sink: UploadSink,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Host]:
    """No dump volume yet. redhat: kdump and its initramfs are of the stand-in, all else of the real host."""
    with QemuGuest(tmp_path_factory.mktemp("guest"), disk=guest_image, s3_port=upload_sink.port) as guest:
        guest.start()
        guest.wait_until_answers(BOOT_SECONDS)
        if request.param == "redhat":
            become_redhat(guest)
        yield Host(guest, request.param)


@pytest.fixture
def guest(newcomer: Host) -> QemuGuest:
    return newcomer.guest


@pytest.fixture(scope="module", params=["xfs", "ext4"])
def host(newcomer: Host, request: pytest.FixtureRequest) -> Host:
    """Parked before each test, and after it."""
    newcomer.make_ready(request.param)
    return newcomer


@pytest.mark.parametrize("attached", [5, 60, 300])
@pytest.mark.parametrize("cause", [NMI, PANIC])
def test_crash_kernel_waits_for_its_volume_and_dumps(host: Host, guest: QemuGuest, cause: str, attached: int) -> None:
    crash = Crash(host, cause)
    crash.wait(attached)
    # The status check must not pass while nobody works here.
    assert not guest.answers_arp(1)
    host.attach()
    _assert_dumps(crash, attached)


def test_second_interrupt_does_not_end_the_wait(host: Host, guest: QemuGuest) -> None:
    crash = Crash(host, SECOND_NMI)
    crash.wait_for("waiting")
    guest.inject_nmi()
    crash.wait(60)
    assert "NMI received for unknown reason" in crash.console
    host.attach()
    _assert_dumps(crash, 60)


@pytest.mark.parametrize("cause", [NMI, PANIC])
def test_crash_kernel_reboots_when_its_volume_never_comes(host: Host, cause: str) -> None:
    host.park(_SHORT_WAIT)
    crash = Crash(host, cause)
    crash.wait_for("waiting")
    crash.wait_until_back()
    assert _REBOOTS in crash.console
    assert "makedumpfile" not in crash.console
    assert host.agent.run("upload_vmcore", since=str(int(crash.at.timestamp())))["error"] == "VmcoreNotFound"
    _assert_root_is_untouched(host)
    host.park()
    _note(crash.outcome(None))


def test_volume_that_cannot_be_mounted_ends_in_the_reboot_with_its_reason(host: Host, guest: QemuGuest) -> None:
    crash = Crash(host, PANIC)
    crash.wait_for("waiting")
    host.attach_damaged()
    crash.wait_until_back()
    said = re.findall(
        r"hangdump: the dump volume cannot be mounted \(mount: .*\): rebooting without a dump", crash.console
    )
    assert len(said) == 1, crash.console[-5000:]
    _assert_root_is_untouched(host)
    guest.detach_disk(host.volume_id)


def _assert_dumps(crash: Crash, attached: int) -> None:
    host, agent = crash.host, crash.host.agent
    crash.wait_for("mounted")
    assert not host.guest.answers_arp(1)
    crash.wait_for("saved")
    crash.wait_until_back()
    _assert_root_is_untouched(host)
    assert agent.run("park_dump_volume", action="mount", volumeId=host.volume_id)["status"] == "mounted"
    found = agent.run("upload_vmcore", since=str(int(crash.at.timestamp())))
    assert (found["status"], found["vmcore"].get("beneathMount")) == ("complete", None)
    vmcore = found["vmcore"]
    removed = agent.run(
        "upload_vmcore",
        action="remove",
        vmcorePath=vmcore["path"],
        sizeBytes=str(vmcore["sizeBytes"]),
        modifiedEpoch=str(vmcore["modifiedEpoch"]),
    )
    assert removed["status"] == "removed"
    host.park()
    _note(crash.outcome(attached, vmcore["sizeBytes"]))


def _assert_root_is_untouched(host: Host) -> None:
    """Nothing is mounted at /var/crash: what is there is on the root file system."""
    assert host.agent.shell("mountpoint -q /var/crash || echo free").strip() == "free"
    assert host.agent.shell(_FILES_BENEATH) == ""


def _note(outcome: dict[str, Any]) -> None:
    print(outcome)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        parked_volume.note(outcome)
