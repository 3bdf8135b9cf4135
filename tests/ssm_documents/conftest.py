"""Fixtures of the document tests."""

from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot


@pytest.fixture
def root(tmp_path: Path) -> FakeRoot:
    """A freshly launched instance."""
    return FakeRoot(tmp_path / "root")


@pytest.fixture
def root_with_volume(root: FakeRoot) -> FakeRoot:
    """With an empty dump volume attached, and a partitioning tool."""
    root.add_disk("nvme1n1", serial=VOLUME_ID.replace("-", ""), device="259:2")
    root.install("sfdisk", "mkfs.xfs", "mkfs.ext4")
    root.write("file-systems", f"/ {8 << 30} {4 << 30}\n/var/crash {8 << 30} {7 << 30}\n")
    return root


@pytest.fixture
def armed_root(root_with_volume: FakeRoot) -> FakeRoot:
    """Prepared, configured, rebooted: ready to dump."""
    root = root_with_volume
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).exit_code == 0
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    root.reboot()
    assert root.run("configure_kdump", reboot="true").exit_code == 0
    return root
