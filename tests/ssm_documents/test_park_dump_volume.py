"""Parking: the volume is unmounted, the crash kernel will wait for it, and nothing that has value is lost."""

import json
import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.ssm_documents.conftest import attach_volume
from tests.ssm_documents.document_run import Run
from tests.ssm_documents.dumps import STAMP, VMCORE, flattened, put
from tests.ssm_documents.fake_root import KERNEL, MIB, VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import host
from tests.ssm_documents.spoiling import add_line, drop_lines, replace

UUID = "0a1b2c3d-0000-4000-8000-000000000001"
ATTACHED = f"UUID={UUID} /var/crash xfs defaults,nosuid,nodev,noexec,nofail,x-systemd.device-timeout=60s,x-hangdump 0 0"
LINE = (
    f"UUID={UUID} /var/crash xfs defaults,nosuid,nodev,noexec,noauto,nofail,x-systemd.device-timeout=5s,x-hangdump 0 0"
)
PARKED = "etc/hangdump/parked"
CONFIGURATION = "etc/default/kdump-tools"
DROP_IN = "etc/systemd/system/kdump-tools-dump.service.d/hangdump.conf"
REPORT = {
    "family": "debian",
    "mountPoint": "/var/crash",
    "uuid": UUID,
    "fileSystem": "xfs",
    "sizeBytes": 8 << 30,
    "freeBytes": 7 << 30,
    "volumeEmpty": True,
    "bootId": "00000000-0000-4000-8000-000000000001",
    "kernel": KERNEL,
}
# Nothing was there to look at.
UNSEEN = REPORT | {"volumeEmpty": False}
Armed = Callable[[str], FakeRoot]
Break = Callable[[FakeRoot], object]


def _park(root: FakeRoot, **given: str) -> Run:
    return root.run("park_dump_volume", **given)


def _parked_as(root: FakeRoot, run: Run) -> dict[str, Any]:
    """What parking reported; its configuration is the one that check_kdump finds."""
    result = dict(run.result)
    assert result.pop("configId") == _check(root)["configId"]
    return result


def _mount(root: FakeRoot, **given: str) -> Run:
    return root.run("park_dump_volume", action="mount", **({"volumeId": VOLUME_ID} | given))


def _check(root: FakeRoot) -> dict[str, Any]:
    return root.run("check_kdump").result


def _detach(root: FakeRoot) -> None:
    """As EC2 does after the snapshot: the kernel has no such disk any more."""
    (root.path / "detached").mkdir(exist_ok=True)
    (root.path / "sys/block/nvme1n1").rename(root.path / "detached/nvme1n1")
    (root.path / "signatures/nvme1n1p1").rename(root.path / "detached/signature")


def _attach(root: FakeRoot, volume_id: str = VOLUME_ID) -> None:
    """A volume that was made from the snapshot."""
    (root.path / "detached/nvme1n1").rename(root.path / "sys/block/nvme1n1")
    (root.path / "detached/signature").rename(root.path / "signatures/nvme1n1p1")
    root.write("sys/block/nvme1n1/device/serial", volume_id.replace("-", "") + "\n")


@pytest.fixture
def parked(armed_root: FakeRoot) -> FakeRoot:
    """Debian, whose dump volume is parked and gone."""
    assert _park(armed_root).result["status"] == "parked"
    _detach(armed_root)
    return armed_root


# --- park


@pytest.mark.parametrize("name", ["debian12", "ubuntu2404"])
def test_volume_is_unmounted_and_known_as_parked(armed: Armed, name: str) -> None:
    root = armed(name)
    foreign = "# data\nserver:/x /mnt nfs nofail 0 0\n"
    root.write("etc/fstab", foreign + root.read("etc/fstab"))
    assert _parked_as(root, _park(root, volumeId=VOLUME_ID)) == {"status": "parked", **REPORT} | {
        "kernel": root.host.kernel
    }
    assert " /var/crash " not in root.read("proc/self/mountinfo")
    assert LINE in root.read("etc/fstab").splitlines()
    assert root.read("etc/fstab").startswith(foreign)
    assert root.read(PARKED).startswith(f"/var/crash {UUID} xfs {8 << 30} {7 << 30} 1200 ")


def test_crash_kernel_waits_before_it_dumps_and_stays_off_the_network(parked: FakeRoot) -> None:
    units = "etc/systemd/system"
    wait = parked.read(f"{units}/hangdump-wait.service").splitlines()
    assert {"ConditionPathExists=/proc/vmcore", "ConditionPathExists=/etc/hangdump/parked"} <= set(wait)
    assert {"FailureAction=reboot-force", "ExecStart=/bin/sh /etc/hangdump/wait.sh"} <= set(wait)
    dump = parked.read(f"{units}/kdump-tools-dump.service.d/hangdump-parked.conf").splitlines()
    assert {"Requires=hangdump-wait.service", "After=hangdump-wait.service"} <= set(dump)
    for manager in ("networking.service", "systemd-networkd.service", "NetworkManager.service"):
        assert "ConditionPathExists=!/proc/vmcore" in parked.read(f"{units}/{manager}.d/hangdump-parked.conf")


def test_host_can_dump_between_any_two_changes(armed_root: FakeRoot) -> None:
    """The wait is there before it is needed, and nothing says that the volume is parked as long as it is mounted."""
    run = _park(armed_root)
    changes = [line.removeprefix("changed: ") for line in run.stderr.splitlines() if line.startswith("changed: ")]
    files = [each for each in changes if each.startswith("/etc/systemd") or each.endswith("wait.sh")]
    order = [*files, "unmounted /var/crash", "/etc/hangdump/parked", "/etc/fstab"]
    assert changes == order
    assert all(armed_root.calls.index(a) < armed_root.calls.index(b) for a, b in pairwise(_first_and_last(armed_root)))


def _first_and_last(root: FakeRoot) -> list[str]:
    unmounted = f"umount {root.path}/var/crash"
    assert root.calls[-1] == "systemctl daemon-reload"
    return [next(call for call in root.calls if call.startswith("mount ")), unmounted]


def test_running_it_again_changes_nothing(parked: FakeRoot) -> None:
    before = parked.tree()
    assert _parked_as(parked, _park(parked)) == {"status": "unchanged", **UNSEEN}
    assert parked.tree() == before


def test_another_wait_is_a_change(parked: FakeRoot) -> None:
    assert _park(parked, waitSeconds="300").result["status"] == "parked"
    assert parked.read(PARKED).split()[5] == "300"


def test_mount_point_is_found_by_the_line_of_fstab(armed_root: FakeRoot) -> None:
    assert _park(armed_root, mountPoint="found").result["mountPoint"] == "/var/crash"


def test_missing_files_of_a_parked_host_come_back(parked: FakeRoot) -> None:
    (parked.path / "etc/hangdump/wait.sh").unlink()
    drop_lines(parked, "etc/fstab", "/var/crash")
    assert _parked_as(parked, _park(parked)) == {"status": "parked", **UNSEEN}
    assert (parked.path / "etc/hangdump/wait.sh").exists()
    assert LINE in parked.read("etc/fstab").splitlines()


def test_kdump_is_configured_again_without_ending_the_parking(parked: FakeRoot) -> None:
    run = parked.run("configure_kdump")
    assert (run.result["status"], run.result["changes"]) == ("unchanged", [])
    assert parked.run("configure_kdump", dumpLevel="17").result["status"] == "configured"
    assert LINE in parked.read("etc/fstab").splitlines()
    assert _park(parked).result["status"] == "unchanged"


def test_file_system_that_was_made_again_is_the_one_that_is_waited_for(armed_root: FakeRoot) -> None:
    armed_root.give_dump_volume_another_uuid()
    uuid = _park(armed_root).result["uuid"]
    assert uuid != UUID
    assert f"UUID={uuid} /var/crash" in armed_root.read("etc/fstab")
    assert armed_root.read(PARKED).split()[1] == uuid


# --- refusals


def _use_dracut(root: FakeRoot) -> None:
    root.write("usr/sbin/dracut", "#!/bin/sh\n").chmod(0o755)


UNSUPPORTED: dict[str, tuple[str, Break]] = {
    "dracut": ("dracut", _use_dracut),
    "arm64": ("aarch64", lambda root: root.write("machine", "aarch64\n")),
    "network": ("10.0.0.1", lambda root: add_line(root, CONFIGURATION, "SSH=kdump@10.0.0.1")),
    "no-unit": ("systemd.unit", lambda root: add_line(root, CONFIGURATION, 'KDUMP_CMDLINE_APPEND="nr_cpus=1"')),
    "other-unit": (
        "systemd.unit",
        lambda root: add_line(root, CONFIGURATION, 'KDUMP_CMDLINE_APPEND="systemd.unit=rescue.target"'),
    ),
    "no-order": (DROP_IN, lambda root: (root.path / DROP_IN).unlink()),
    "no-sysrq": ("MAGIC_SYSRQ", lambda root: (root.path / "proc/sys/kernel/sysrq").unlink()),
}


@pytest.mark.parametrize("host_is", UNSUPPORTED)
def test_host_without_a_proven_crash_kernel_is_refused_before_any_change(armed_root: FakeRoot, host_is: str) -> None:
    said, break_it = UNSUPPORTED[host_is]
    break_it(armed_root)
    _assert_refused(armed_root, "ParkingUnsupported", said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sles16", "suse"),
        ("rhel7", "EL7"),
        ("rhel8", "EL8"),
        ("amzn2", "Amazon Linux 2"),
        ("amzn2023-arm64", "aarch64"),
    ],
)
def test_other_hosts_keep_their_volume_attached(armed: Armed, name: str, said: str) -> None:
    _assert_refused(armed(name), "ParkingUnsupported", said)


@pytest.mark.parametrize("path", [f"{STAMP}/dump.{STAMP}", f"{STAMP}/dump-incomplete", "notes.txt"])
def test_volume_with_anything_of_value_is_refused(armed_root: FakeRoot, path: str) -> None:
    armed_root.write(f"var/crash/{path}", "x")
    _assert_refused(armed_root, "DumpVolumeHoldsDump", path)


def test_what_kdump_leaves_beside_dumps_is_of_no_value(armed_root: FakeRoot) -> None:
    armed_root.write("var/crash/kexec_cmd", "/sbin/kexec -p\n")
    (armed_root.path / "var/crash/hangdump").mkdir()
    assert _park(armed_root).result["status"] == "parked"


def test_volume_that_came_back_with_a_dump_is_looked_at_although_it_is_not_mounted(parked: FakeRoot) -> None:
    _attach(parked)
    put(parked, VMCORE, flattened(MIB))
    assert _park(parked).error == "DumpVolumeHoldsDump"


def test_another_disk_at_the_mount_point_is_refused(armed_root: FakeRoot) -> None:
    _assert_refused(armed_root, "DumpVolumeMismatch", "vol00000000000000009", volumeId="vol-00000000000000009")


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        pytest.param(lambda root: root.write("sys/kernel/kexec_crash_loaded", "0\n"), "configure_kdump", id="unloaded"),
        pytest.param(lambda root: root.unmount_dump_volume(), "prepare_dump_volume", id="unmounted"),
        pytest.param(lambda root: replace(root, "etc/fstab", ",x-hangdump", ""), "prepare_dump_volume", id="foreign"),
    ],
)
def test_host_that_is_not_ready_is_refused(armed_root: FakeRoot, break_it: Break, said: str) -> None:
    break_it(armed_root)
    _assert_refused(armed_root, "ConfigurationFailed", said)


def _assert_refused(root: FakeRoot, error: str, said: str, **given: str) -> None:
    before = root.tree()
    run = _park(root, **given)
    assert run.error == error
    assert said in run.stdout
    assert root.tree() == before


def test_volume_that_is_in_use_stays_attached_in_its_usual_form(armed_root: FakeRoot) -> None:
    armed_root.write("umount-is-busy", "")
    run = _park(armed_root)
    assert (run.error, "fuser" in run.stdout) == ("ConfigurationFailed", True)
    assert ATTACHED in armed_root.read("etc/fstab").splitlines()
    assert not (armed_root.path / PARKED).exists()
    assert _check(armed_root)["ready"] is True


@pytest.mark.parametrize("value", ["0", "x", "1200; reboot", "$(reboot)", ""])
def test_wait_that_is_no_number_is_refused(armed_root: FakeRoot, value: str) -> None:
    assert _park(armed_root, waitSeconds=value).error == "InvalidParameter"


@pytest.mark.parametrize("point", ["/etc", "/var/lib"])
def test_mount_point_of_the_system_is_refused(armed_root: FakeRoot, point: str) -> None:
    assert _park(armed_root, mountPoint=point).error == "InvalidParameter"


# --- mount


def test_volume_that_came_back_is_mounted_and_its_dump_found(parked: FakeRoot) -> None:
    _attach(parked, "vol-00000000000000009")
    put(parked, VMCORE, flattened(MIB))
    run = _mount(parked, volumeId="vol-00000000000000009")
    assert run.result == {"status": "mounted", "volumeId": "vol-00000000000000009", "mountPoint": "/var/crash"}
    assert " /var/crash rw,nosuid,nodev,noexec," in parked.read("proc/self/mountinfo")
    assert parked.run("upload_vmcore").result["vmcore"]["path"] == VMCORE
    assert _mount(parked, volumeId="vol-00000000000000009").result["status"] == "unchanged"


def test_volume_is_parked_again_once_its_dump_is_removed(parked: FakeRoot) -> None:
    _attach(parked)
    assert _mount(parked).result["status"] == "mounted"
    put(parked, VMCORE, flattened(MIB))
    assert _park(parked).error == "DumpVolumeHoldsDump"
    (parked.path / VMCORE.lstrip("/")).unlink()
    assert _parked_as(parked, _park(parked)) == {"status": "parked", **REPORT}
    assert " /var/crash " not in parked.read("proc/self/mountinfo")


def test_host_that_is_not_parked_is_not_touched(armed_root: FakeRoot) -> None:
    before, calls = armed_root.tree(), len(armed_root.called("mount"))
    assert _mount(armed_root).result["status"] == "not-parked"
    assert armed_root.tree() == before
    assert len(armed_root.called("mount")) == calls


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        pytest.param(lambda root: None, "DumpVolumeNotFound", id="not-attached"),
        pytest.param(lambda root: _attach(root, "vol-00000000000000009"), "DumpVolumeNotFound", id="another-volume"),
        pytest.param(
            lambda root: root.add_disk("nvme1n1", serial=VOLUME_ID.replace("-", ""), device="259:2"),
            "DumpVolumeMismatch",
            id="no-partition",
        ),
    ],
)
def test_volume_that_is_not_there_is_named(parked: FakeRoot, break_it: Break, error: str) -> None:
    break_it(parked)
    assert _mount(parked).error == error


def test_mount_needs_the_volume(parked: FakeRoot) -> None:
    assert _mount(parked, volumeId="none").error == "InvalidParameter"


# --- the other documents


def test_parked_host_is_ready(parked: FakeRoot) -> None:
    result = _check(parked)
    assert (result["ready"], result["findings"], result["parked"]) == (True, [], True)
    assert result["freeBytes"] == 7 << 30


def test_parked_host_with_its_volume_attached_is_ready_too(parked: FakeRoot) -> None:
    _attach(parked)
    assert _check(parked)["findings"] == []
    _mount(parked)
    assert _check(parked)["findings"] == []


def test_attached_host_says_that_it_is_not_parked(armed_root: FakeRoot) -> None:
    assert _check(armed_root)["parked"] is False


def test_parked_volume_that_is_too_small_is_found_by_what_was_free(armed_root: FakeRoot) -> None:
    armed_root.leave_free(100)
    _park(armed_root)
    _detach(armed_root)
    (finding,) = _check(armed_root)["findings"]
    assert finding["code"] == "dump-target-too-small"
    assert "100 MiB were free on the parked dump volume" in finding["observed"]


def test_line_of_fstab_that_is_gone_is_one_finding(parked: FakeRoot) -> None:
    drop_lines(parked, "etc/fstab", "/var/crash")
    assert [each["code"] for each in _check(parked)["findings"]] == ["fstab-entry-missing"]


def test_preparing_the_volume_ends_the_parking(parked: FakeRoot) -> None:
    _attach(parked)
    assert parked.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert ATTACHED in parked.read("etc/fstab").splitlines()
    assert not (parked.path / PARKED).exists()
    result = _check(parked)
    assert (result["ready"], result["parked"]) == (True, False)
    assert parked.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "unchanged"


# --- the RHEL-like family: the crash kernel waits in its initramfs

KDUMP_CONF = "etc/kdump.conf"
REDHAT_DROP_IN = "etc/systemd/system/kdump.service.d/hangdump.conf"
WAITING = [
    "# Hangdump's dump volume:",
    'dracut_args --mount "LABEL=hangdump-parked /kdumproot xfs defaults,noauto" --add-drivers "nvme xfs" '
    '--install "findmnt mountpoint mkdir sleep head cut grep sync"',
]
HOOK = "kdump_pre /etc/hangdump/wait.sh"


@pytest.fixture(params=["rhel9", "amzn2023"])
def armed_redhat(armed: Armed, request: pytest.FixtureRequest) -> FakeRoot:
    return armed(request.param)


@pytest.fixture
def parked_redhat(armed_redhat: FakeRoot) -> FakeRoot:
    """Its dump volume is parked and gone."""
    assert _park(armed_redhat).result["status"] == "parked"
    _detach(armed_redhat)
    return armed_redhat


def _crash_initramfs(root: FakeRoot) -> list[str]:
    """What kdump.conf said when it was made."""
    return root.read(f"boot/initramfs-{root.host.kernel}kdump.img").splitlines()


def _make_older(root: FakeRoot) -> None:
    """The crash initramfs and what is in it, by an hour: a file that is written now is newer by seconds, too."""
    for path in (f"boot/initramfs-{root.host.kernel}kdump.img", KDUMP_CONF, "etc/fstab", "etc/hangdump/wait.sh"):
        if (root.path / path).exists():
            status = (root.path / path).stat()
            os.utime(root.path / path, (status.st_atime, status.st_mtime - 3600))


def test_initramfs_holds_the_wait_and_needs_no_disk(parked_redhat: FakeRoot) -> None:
    root = parked_redhat
    lines = root.read(KDUMP_CONF).splitlines()
    assert lines[lines.index(WAITING[0]) :][:2] == WAITING
    assert HOOK in lines
    assert not any(line.startswith(("xfs", "ext4")) for line in lines)
    assert {WAITING[1], HOOK} <= set(_crash_initramfs(root))
    script = root.read("etc/hangdump/wait.sh")
    assert f"mount -t xfs -o nosuid,nodev,noexec,nofail UUID={UUID} /kdumproot" in script
    assert os.access(root.path / "etc/hangdump/wait.sh", os.X_OK)
    assert (_check(root)["ready"], _check(root)["parked"], _check(root)["findings"]) == (True, True, [])


def test_initramfs_is_made_before_the_former_one_is_unloaded(armed_redhat: FakeRoot) -> None:
    _park(armed_redhat)
    _assert_made_before_unloaded(armed_redhat)


def _assert_made_before_unloaded(root: FakeRoot) -> None:
    """The last time."""
    calls = [each for each in root.calls if each.startswith("kdumpctl ")]
    made, unloaded, loaded = (_last(calls, f"kdumpctl {each}") for each in ("rebuild", "stop", "start"))
    assert made < unloaded < loaded
    assert root.read("sys/kernel/kexec_crash_loaded") == "1\n"


def _last(calls: list[str], call: str) -> int:
    return len(calls) - 1 - calls[::-1].index(call)


def test_redhat_host_parks_once(parked_redhat: FakeRoot) -> None:
    before = parked_redhat.tree()
    assert _park(parked_redhat).result["status"] == "unchanged"
    assert parked_redhat.tree() == before


def test_another_wait_is_in_the_initramfs_at_once(parked_redhat: FakeRoot) -> None:
    _make_older(parked_redhat)
    assert _park(parked_redhat, waitSeconds="300").result["status"] == "parked"
    assert "bound=300" in parked_redhat.read("etc/hangdump/wait.sh").splitlines()
    assert parked_redhat.calls[-1] == "systemctl restart hangdump-ready.service"
    _assert_made_before_unloaded(parked_redhat)
    assert _check(parked_redhat)["ready"] is True


def test_boot_neither_waits_for_a_parked_volume_nor_leaves_a_new_kernel_unarmed(parked_redhat: FakeRoot) -> None:
    root = parked_redhat
    assert "var-crash.mount" not in root.read(REDHAT_DROP_IN)
    (root.path / f"boot/initramfs-{root.host.kernel}kdump.img").unlink()
    root.reboot()
    assert root.read("sys/kernel/kexec_crash_loaded") == "1\n"
    assert WAITING[1] in _crash_initramfs(root)
    assert _check(root)["ready"] is True


def test_redhat_kdump_is_configured_again_without_ending_the_parking(parked_redhat: FakeRoot) -> None:
    run = parked_redhat.run("configure_kdump")
    assert (run.result["status"], run.result["changes"]) == ("unchanged", [])
    assert parked_redhat.run("configure_kdump", dumpLevel="17").result["status"] == "configured"
    assert {*WAITING, HOOK} <= set(parked_redhat.read(KDUMP_CONF).splitlines())
    assert (_check(parked_redhat)["ready"], _park(parked_redhat).result["status"]) == (True, "unchanged")


@pytest.mark.parametrize("line", [WAITING[1], HOOK])
def test_line_that_the_wait_needs_is_missed_and_comes_back(parked_redhat: FakeRoot, line: str) -> None:
    drop_lines(parked_redhat, KDUMP_CONF, line.split(maxsplit=1)[0])
    assert [each["code"] for each in _check(parked_redhat)["findings"]] == ["family-configuration-missing"]
    assert _park(parked_redhat).result["status"] == "parked"
    assert _check(parked_redhat)["ready"] is True


def test_wait_that_somebody_changed_is_found(parked_redhat: FakeRoot) -> None:
    add_line(parked_redhat, "etc/hangdump/wait.sh", "sleep 1")
    codes = {each["code"] for each in _check(parked_redhat)["findings"]}
    assert "parking-broken" in codes
    assert _park(parked_redhat).result["status"] == "parked"
    assert _check(parked_redhat)["ready"] is True


def test_redhat_volume_that_is_taken_back_is_the_target_again(armed_redhat: FakeRoot) -> None:
    root = armed_redhat
    add_line(root, KDUMP_CONF, "# the owner's")
    before, drop_in = root.read(KDUMP_CONF), root.read(REDHAT_DROP_IN)
    assert _park(root).result["status"] == "parked"
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert root.run("configure_kdump").result["status"] == "configured"
    assert (root.read(KDUMP_CONF), root.read(REDHAT_DROP_IN)) == (before, drop_in)
    result = _check(root)
    assert (result["ready"], result["parked"]) == (True, False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("kdump_pre /usr/local/bin/stop-the-watchdog", "stop-the-watchdog"),
        ('dracut_args --add "network"', "network"),
    ],
)
def test_hook_of_the_owner_is_kept_and_the_parking_refused(armed_redhat: FakeRoot, line: str, said: str) -> None:
    armed_redhat.write("usr/local/bin/stop-the-watchdog", "#!/bin/sh\n").chmod(0o755)
    add_line(armed_redhat, KDUMP_CONF, line)
    _assert_refused(armed_redhat, "ParkingUnsupported", said)


def _park_anew(root: FakeRoot) -> Run:
    return _park(root, waitSeconds="300")


def _take_back(root: FakeRoot) -> Run:
    _attach(root)
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).exit_code == 0
    return root.run("configure_kdump")


@pytest.mark.parametrize("change", [_park_anew, _take_back])
def test_initramfs_that_cannot_be_made_leaves_the_former_one_loaded(
    parked_redhat: FakeRoot, change: Callable[[FakeRoot], Run]
) -> None:
    root = parked_redhat
    _make_older(root)
    root.write("dracut-fails", "")
    assert change(root).error == "ConfigurationFailed"
    assert root.read("sys/kernel/kexec_crash_loaded") == "1\n"
    (root.path / "dracut-fails").unlink()
    assert change(root).exit_code == 0 if change is _park_anew else root.run("configure_kdump").exit_code == 0
    assert _check(root)["ready"] is True


def test_host_whose_initramfs_cannot_be_made_is_parked_later(armed_redhat: FakeRoot) -> None:
    root = armed_redhat
    _make_older(root)
    root.write("dracut-fails", "")
    assert _park(root).error == "ConfigurationFailed"
    assert root.read("sys/kernel/kexec_crash_loaded") == "1\n"
    assert _check(root)["ready"] is False
    (root.path / "dracut-fails").unlink()
    assert _park(root).result["status"] == "parked"
    assert _check(root)["ready"] is True


def test_wait_that_was_made_but_not_loaded_is_loaded_by_the_next_run(armed_redhat: FakeRoot) -> None:
    """A run that was cut between the two."""
    root = armed_redhat
    _make_older(root)
    root.write("kdumpctl-stop-fails", "")
    assert _park(root).error == "ConfigurationFailed"
    assert {each["code"] for each in _check(root)["findings"]} == {"crash-initramfs-stale"}
    (root.path / "kdumpctl-stop-fails").unlink()
    assert _park(root).result["status"] == "parked"
    assert _check(root)["ready"] is True


def test_crash_kernel_that_cannot_be_unloaded_is_no_parked_host(armed_redhat: FakeRoot) -> None:
    armed_redhat.write("proc/sys/kernel/kexec_load_disabled", "1\n")
    _assert_refused(armed_redhat, "ParkingUnsupported", "kexec_load_disabled")


def test_early_kdump_is_refused_and_found(armed_redhat: FakeRoot) -> None:
    root = armed_redhat
    before = root.read("proc/cmdline")
    root.write("proc/cmdline", f"{before.strip()} rd.earlykdump\n")
    _assert_refused(root, "ParkingUnsupported", "rd.earlykdump")
    root.write("proc/cmdline", before)
    assert _park(root).result["status"] == "parked"
    root.write("proc/cmdline", f"{before.strip()} rd.earlykdump\n")
    assert [each["code"] for each in _check(root)["findings"]] == ["parking-broken"]


@pytest.mark.parametrize("line", ["force_no_rebuild 1", "ssh root@10.0.0.1", "xfs UUID=0000"])
def test_other_way_of_dumps_is_refused_before_any_change(armed_redhat: FakeRoot, line: str) -> None:
    add_line(armed_redhat, KDUMP_CONF, line)
    _assert_refused(armed_redhat, "ParkingUnsupported", line)


def test_configuring_puts_back_what_takes_the_place_of_a_target(parked_redhat: FakeRoot) -> None:
    """Without it kdump would dump to the root file system."""
    drop_lines(parked_redhat, KDUMP_CONF, "dracut_args")
    assert parked_redhat.run("configure_kdump").result["status"] == "configured"
    assert {*WAITING, HOOK} <= set(parked_redhat.read(KDUMP_CONF).splitlines())
    assert WAITING[1] in _crash_initramfs(parked_redhat)
    assert _check(parked_redhat)["ready"] is True


@pytest.mark.parametrize("line", ["kdump_pre /usr/local/bin/mine", 'dracut_args --add-drivers "foo"'])
def test_line_that_an_owner_adds_to_a_parked_host_is_refused_and_kept(parked_redhat: FakeRoot, line: str) -> None:
    root = parked_redhat
    root.write("usr/local/bin/mine", "#!/bin/sh\n").chmod(0o755)
    if line.startswith("kdump_pre"):
        drop_lines(root, KDUMP_CONF, "kdump_pre")
    add_line(root, KDUMP_CONF, line)
    run = root.run("configure_kdump")
    assert (run.error, line in json.loads(run.stdout)["message"]) == ("ConfigurationFailed", True)
    assert line in root.read(KDUMP_CONF).splitlines()
    assert root.read("sys/kernel/kexec_crash_loaded") == "1\n"
    assert _check(root)["ready"] is False


def test_own_lines_are_known_without_their_comment(parked_redhat: FakeRoot) -> None:
    drop_lines(parked_redhat, KDUMP_CONF, "# Hangdump's")
    assert parked_redhat.run("configure_kdump").exit_code == 0
    assert _park(parked_redhat).exit_code == 0
    lines = parked_redhat.read(KDUMP_CONF).splitlines()
    assert [line for line in lines if line in {*WAITING, HOOK}] == [*WAITING, HOOK]


def test_wait_that_cannot_be_run_is_found_and_mended(parked_redhat: FakeRoot) -> None:
    (parked_redhat.path / "etc/hangdump/wait.sh").chmod(0o644)
    assert [each["code"] for each in _check(parked_redhat)["findings"]] == ["parking-broken"]
    assert _park(parked_redhat).exit_code == 0
    assert _check(parked_redhat)["ready"] is True


# What the host itself counts, the disk's new file system, and what a package manager keeps of itself.
OTHERS = re.compile(r"boot-count|calls|kexec_cmd|debconf|proc/|signatures/|sys/|var/lib/|run/|file-systems|kdump-tools")


def _configuration(root: FakeRoot) -> dict[str, str]:
    return {path: text for path, text in root.tree().items() if not OTHERS.search(path)}


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_nothing_of_the_parking_is_left_when_kdump_is_unconfigured(root_with_volume: FakeRoot, times: int) -> None:
    root_with_volume.command("update-grub")
    _assert_nothing_is_left(root_with_volume, times)


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_nothing_of_the_parking_is_left_on_a_redhat_host(tmp_path: Path, times: int) -> None:
    root = attach_volume(FakeRoot(tmp_path / "root", host=host("rhel9")))
    _assert_nothing_is_left(root, times)


@pytest.mark.parametrize(
    ("ours", "edited"), [(HOOK, "kdump_pre   /etc/hangdump/wait.sh"), (WAITING[1], f"{WAITING[1]} --add network")]
)
def test_own_lines_that_somebody_edited_go_with_the_rest(parked_redhat: FakeRoot, ours: str, edited: str) -> None:
    replace(parked_redhat, KDUMP_CONF, ours, edited)
    add_line(parked_redhat, KDUMP_CONF, "# the owner's")
    parked_redhat.run("unconfigure_kdump")
    text = (parked_redhat.path / KDUMP_CONF).read_text() if (parked_redhat.path / KDUMP_CONF).exists() else ""
    assert "hangdump" not in text


def test_volume_that_was_parked_twice_and_taken_back_leaves_nothing_to_name(parked_redhat: FakeRoot) -> None:
    assert _park_anew(parked_redhat).result["status"] == "parked"
    assert _take_back(parked_redhat).exit_code == 0
    assert parked_redhat.run("unconfigure_kdump", volumeId=VOLUME_ID).result["left"] == []


def _assert_nothing_is_left(root: FakeRoot, times: int) -> None:
    before = _configuration(root)
    for _ in range(times):
        assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).exit_code == 0
        if root.run("configure_kdump", reboot="true").exit_code == 194:
            root.reboot()
            assert root.run("configure_kdump", reboot="true").exit_code == 0
        assert _park(root).result["status"] == "parked"
    result = root.run("unconfigure_kdump", volumeId=VOLUME_ID).result
    assert (result["status"], result["left"]) == ("unconfigured", [])
    assert _configuration(root) == before
