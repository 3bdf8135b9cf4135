"""Saved VM states: a guest that took minutes to prepare comes back, running, in about a second.

Owns the format of a saved state, a directory:
    memory           QEMU's migration stream
    root.qcow2       the root overlay (backed by the image)
    volumes/*.qcow2  the disks that were attached
    state.json       hardware, and which volumes were attached where
"""

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from lab.guest.hardware import Hardware
from lab.guest.qemu_guest import QemuGuest, make_overlay
from lab.lock import locked

_HERE = Path(__file__)
_PARK_DISKS = _HERE.with_name("park_disks.sh").read_text()
_MOUNT_AGAIN = _HERE.with_name("mount_again.sh").read_text()
_LIST_VIRTIO_DRIVERS = _HERE.with_name("list_virtio_drivers.sh").read_text()
_MIGRATION_SECONDS = 120.0


class CannotSave(Exception):
    """The guest cannot be saved as it is."""


def save_state(guest: QemuGuest, directory: Path) -> None:
    """Stops the guest for good. Its dump disks are unmounted and unplugged first: no NVMe in a migration stream."""
    if guest.hardware.root_bus != "virtio":
        raise CannotSave("QEMU cannot migrate an NVMe root: build the guest with Hardware(root_bus='virtio')")
    mounts = _park_disks(guest)
    directory.mkdir(parents=True)
    memory = directory / "memory"
    guest.migrate_to(f"cat > {shlex.quote(str(memory))}", timeout_seconds=_MIGRATION_SECONDS)
    guest.close()
    shutil.move(guest.root_disk, directory / "root.qcow2")
    (directory / "volumes").mkdir()
    for volume_id in mounts:
        shutil.move(guest.volumes / f"{volume_id}.qcow2", directory / "volumes")
    state = {"hardware": asdict(guest.hardware), "mounts": mounts}
    (directory / "state.json").write_text(json.dumps(state, indent=1))


def restored(directory: Path, workdir: Path, *, s3_port: int, volumes: Path | None = None) -> QemuGuest:
    """A running guest as it was when saved, its disks attached and mounted, its clock right. The state stays as it is.

    The caller owns the guest (`with restored(…) as guest`).
    """
    state = json.loads((directory / "state.json").read_text())
    guest = QemuGuest(
        workdir,
        disk=directory / "root.qcow2",
        s3_port=s3_port,
        hardware=Hardware(**state["hardware"]),
        volumes=volumes,
    )
    try:
        for volume_id in state["mounts"]:
            disk = directory / "volumes" / f"{volume_id}.qcow2"
            make_overlay(guest.volumes / disk.name, backing=disk)
        guest.start(incoming=f"cat {shlex.quote(str(directory / 'memory'))}")
        guest.wait_until_answers(_MIGRATION_SECONDS)
        guest.set_clock(datetime.now(UTC))
        for volume_id, mount_point in state["mounts"].items():
            guest.attach_disk(volume_id, 0, "")
            _run(guest, _MOUNT_AGAIN, VOLUME_ID=volume_id, MOUNT_POINT=mount_point)
    except BaseException:
        guest.close()
        raise
    return guest


def saved_state(
    directory: Path, *, disk: Path, prepare: Callable[[QemuGuest], None], memory_mib: int = 1024, s3_port: int = 9
) -> Path:
    """The saved state in `directory`, made once: boots a guest, has `prepare` do its work on it, saves it.

    The caller puts into the directory's name a hash of everything that `prepare` depends on, the image included.
    Port 9 (discard) for a preparation that needs no S3.
    """
    with locked(directory.with_suffix(".lock")):
        if directory.exists():
            return directory
        work = directory.with_suffix(".building")
        shutil.rmtree(work, ignore_errors=True)
        hardware = Hardware(memory_mib=memory_mib, root_bus="virtio")
        with QemuGuest(work / "guest", disk=disk, s3_port=s3_port, hardware=hardware) as guest:
            guest.start()
            guest.wait_until_answers()
            # The image lists none, as an instance's root is NVMe: the kdump initrd of this guest needs them.
            _run(guest, _LIST_VIRTIO_DRIVERS)
            prepare(guest)
            save_state(guest, work / "state")
        (work / "state").rename(directory)
        shutil.rmtree(work)
    return directory


def _park_disks(guest: QemuGuest) -> dict[str, str]:
    """Volume id → where it was mounted (empty: nowhere)."""
    mounts = {}
    for volume_id in guest.attached_volumes:
        mounts[volume_id] = _run(guest, _PARK_DISKS, VOLUME_ID=volume_id)
        guest.detach_disk(volume_id)
    return mounts


def _run(guest: QemuGuest, script: str, **environment: str) -> str:
    """The script's standard output, stripped."""
    done = guest.run(script, environment=environment, timeout_seconds=120)
    if done.exit_code:
        raise CannotSave(f"exit {done.exit_code}: {done.stderr}")
    return done.stdout.strip()
