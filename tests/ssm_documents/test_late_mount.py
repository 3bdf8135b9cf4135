"""With nofail a boot goes on without the dump volume: what the documents do while it is still being mounted."""

from collections.abc import Callable

import pytest

from tests.ssm_documents.dumps import VMCORE
from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot

MOUNT_INFO = "proc/self/mountinfo"


def mount_late(root: FakeRoot, *, also: str = "") -> None:
    """As a host that has just booted: its volume's mount is a job of systemd, which ends between two looks."""
    mounted = root.read(MOUNT_INFO)
    root.write("mounted-later", mounted)
    root.write(MOUNT_INFO, "".join(line for line in mounted.splitlines(keepends=True) if " /var/crash " not in line))
    root.write("units/var-crash.mount.job", f'cp "$HOST_ROOT/mounted-later" "$HOST_ROOT/{MOUNT_INFO}"\n{also}\n')


@pytest.mark.parametrize("name", ["rhel9", "amzn2", "debian12"])
def test_configuration_waits_for_the_volume_that_is_being_mounted(armed: Callable[[str], FakeRoot], name: str) -> None:
    root = armed(name)
    mount_late(root)
    assert root.run("configure_kdump").result["status"] == "unchanged"


def test_check_does_not_mistake_a_mount_under_way_for_a_missing_one(armed_root: FakeRoot) -> None:
    mount_late(armed_root)
    assert armed_root.run("check_kdump", volumeId=VOLUME_ID).result["ready"] is True


def test_dump_is_found_on_a_volume_that_is_being_mounted(root: FakeRoot, dump: bytes) -> None:
    (root.path / "var/crash").rename(root.path / "on-the-volume")
    (root.path / "var/crash").mkdir()
    mount_late(root, also='rmdir "$HOST_ROOT/var/crash"; mv "$HOST_ROOT/on-the-volume" "$HOST_ROOT/var/crash"')
    assert root.run("upload_vmcore").result["vmcore"]["path"] == VMCORE


def test_nothing_is_waited_for_when_no_mount_is_under_way(root: FakeRoot, dump: bytes) -> None:
    assert root.run("upload_vmcore").result["status"] == "complete"
    assert not root.called("sleep")


def test_kdump_on_the_redhat_family_starts_after_its_dump_target_is_mounted(armed: Callable[[str], FakeRoot]) -> None:
    """Measured: kdumpctl that has to make an initramfs at boot refuses a target whose mount is still under way."""
    root = armed("rhel9")
    assert "After=var-crash.mount" in root.read("etc/systemd/system/kdump.service.d/hangdump.conf").splitlines()
