"""A real root from its launch to the point where it can dump."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ssm_documents.document_run import Run
from tests.ssm_documents.fake_root import VOLUME_ID
from tests.ssm_documents.hosts import host
from tests.ssm_documents.ready_host import MEMORY_MIB
from tests.ssm_documents.real_root.host import Disks, RealRoot, running
from tests.ssm_documents.real_root.image import ensure_tree

_MISSING = [tool for tool in ("mmdebstrap", "unshare", "nsenter", "losetup", "mke2fs") if shutil.which(tool) is None]
NEEDS_REAL_ROOT = [
    pytest.mark.nightly,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces, mounts and loop devices need root"),
    pytest.mark.skipif(bool(_MISSING), reason=f"this machine has no {' '.join(_MISSING)}"),
]


@dataclass(frozen=True)
class Story:
    """How each document ended on the way, and the disks as they are when the host is ready."""

    prepared: Run
    configured_before: Run
    grub_cfg: str
    configured_after: Run
    checked: Run
    disks: Disks


def launched(folder: Path) -> Disks:
    """A freshly launched instance: no kdump, an empty dump volume."""
    empty = folder / "empty-volume"
    empty.touch()
    os.truncate(empty, 8 << 30)
    return Disks((ensure_tree("bookworm"),), empty)


@contextmanager
def booted(start: Disks, folder: Path) -> Iterator[RealRoot]:
    """A host that starts so. Its image has no grub.cfg, as it was never on a disk."""
    with running(start, host("debian12"), MEMORY_MIB, folder) as (root, _):
        root.shell("test -e /boot/grub/grub.cfg || update-grub")
        root.reboot()
        yield root


def make_ready(folder: Path) -> Story:
    """Prepare, configure, reboot, configure, check."""
    with running(launched(folder), host("debian12"), MEMORY_MIB, folder) as (root, end):
        root.shell("update-grub")
        root.reboot()
        prepared = root.run("prepare_dump_volume", volumeId=VOLUME_ID)
        before = root.run("configure_kdump", reboot="true")
        grub_cfg = root.read("boot/grub/grub.cfg")
        root.reboot()
        after = root.run("configure_kdump", reboot="true")
        checked = root.run("check_kdump", volumeId=VOLUME_ID)
    return Story(prepared, before, grub_cfg, after, checked, end)
