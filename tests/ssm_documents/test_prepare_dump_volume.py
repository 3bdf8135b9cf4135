"""The dump volume: found by serial alone, formatted only when empty, mounted for good."""

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.ledger import originals

SERIAL = VOLUME_ID.replace("-", "")
UUID = "0a1b2c3d-0000-4000-8000-000000000001"
LINE = f"UUID={UUID} /var/crash xfs defaults,nosuid,nodev,noexec,nofail,x-systemd.device-timeout=60s,x-hangdump 0 0"
WRITING = ("sfdisk", "sgdisk", "mkfs.xfs", "mkfs.ext4")


def _writes(root: FakeRoot) -> list[str]:
    return [call for tool in WRITING for call in root.called(tool)]


def test_empty_volume_is_partitioned_formatted_and_mounted(root_with_volume: FakeRoot) -> None:
    result = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).result
    assert result == {
        "status": "prepared",
        "device": "/dev/nvme1n1",
        "partition": "/dev/nvme1n1p1",
        "uuid": UUID,
        "fileSystem": "xfs",
        "mountPoint": "/var/crash",
        "sizeBytes": 8 << 30,
        "freeBytes": 7 << 30,
    }
    assert LINE in root_with_volume.read("etc/fstab").splitlines()
    assert " /var/crash " in root_with_volume.read("proc/self/mountinfo")
    assert "systemctl daemon-reload" in root_with_volume.calls


@pytest.mark.parametrize("tool", ["sgdisk", "sfdisk"])
def test_partitions_with_whichever_tool_exists(root_with_volume: FakeRoot, tool: str) -> None:
    if tool == "sgdisk":
        root_with_volume.install("sgdisk")
    assert root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert root_with_volume.called(tool)


def test_installs_what_is_missing_to_partition_and_format(root: FakeRoot) -> None:
    root.add_disk("nvme1n1", serial=SERIAL, device="259:2")
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    installed = root.read("var/lib/dpkg/installed").split()[1:]
    assert installed == ["xfsprogs", "fdisk"]


def test_second_run_changes_nothing(root_with_volume: FakeRoot) -> None:
    root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    before, writes = root_with_volume.tree(), _writes(root_with_volume)
    result = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).result
    assert result["status"] == "unchanged"
    assert root_with_volume.tree() == before
    assert _writes(root_with_volume) == writes


@pytest.mark.parametrize(
    ("usage", "options"),
    [
        pytest.param("/* naming */\t\t[-n size=num,version=2|ci,ftype=0|1]\n", "", id="before-6.10"),
        pytest.param(
            "projid32bit=0|1,sparse=0|1,nrext64=0|1,\n\t\t\texchange=0|1]\n/* naming */\t[-n ftype=0|1,parent=0|1]]\n",
            "-n parent=0 -i exchange=0 ",
            id="since-6.10",
        ),
    ],
)
def test_xfs_gets_no_feature_that_a_collectors_kernel_may_not_know(
    root_with_volume: FakeRoot, usage: str, options: str
) -> None:
    root_with_volume.write("mkfs-usage", usage)
    root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    (made,) = root_with_volume.called("mkfs.xfs")
    assert made.startswith(f"mkfs.xfs -q {options}-L HANGDUMP /")


def test_ext4_when_asked(root_with_volume: FakeRoot) -> None:
    result = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID, fileSystem="ext4").result
    assert result["fileSystem"] == "ext4"
    assert f"UUID={UUID} /var/crash ext4 " in root_with_volume.read("etc/fstab")


def test_file_system_that_it_made_earlier_is_kept_when_another_is_asked_for(root_with_volume: FakeRoot) -> None:
    root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID, fileSystem="ext4")
    result = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID, fileSystem="xfs").result
    assert (result["status"], result["fileSystem"]) == ("unchanged", "ext4")
    assert not root_with_volume.called("mkfs.xfs")


def test_own_volume_of_a_new_instance_is_mounted_and_never_reformatted(root_with_volume: FakeRoot) -> None:
    root = root_with_volume
    root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    root.write("etc/fstab", "UUID=4f68bce3 / ext4 rw 0 1")  # its owner forgot the newline
    root.write("proc/self/mountinfo", "25 1 259:1 / / rw shared:1 - ext4 /dev/nvme0n1p1 rw\n")
    writes = _writes(root)
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert _writes(root) == writes
    assert root.read("etc/fstab").splitlines() == ["UUID=4f68bce3 / ext4 rw 0 1", LINE]


def test_partition_without_file_system_is_finished(root_with_volume: FakeRoot) -> None:
    root = root_with_volume
    root.write("mkfs-dies", "")
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).error == "ConfigurationFailed"
    (root.path / "mkfs-dies").unlink()
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert len(root.called("sfdisk")) == 1


def test_older_line_of_ours_is_replaced_and_foreign_lines_stay(root_with_volume: FakeRoot) -> None:
    root = root_with_volume
    foreign = "# data\nUUID=4f68bce3 / ext4 rw 0 1\n/dev/sdz /data xfs noauto 0 0\n"
    root.write("etc/fstab", foreign + "UUID=old /var/crash xfs defaults,nofail,x-hangdump 0 0\n")
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert root.read("etc/fstab") == foreign + LINE + "\n"
    assert "UUID=old" in (originals(root)["etc/fstab"] or "")


def test_line_of_ours_that_its_owner_set_in_columns_is_replaced(root_with_volume: FakeRoot) -> None:
    root_with_volume.write("etc/fstab", "UUID=old\t/var/crash/\txfs\tdefaults,x-hangdump\t0\t0\n")
    assert root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert root_with_volume.read("etc/fstab") == LINE + "\n"


def test_files_in_the_mount_point_stay_and_are_mentioned(root_with_volume: FakeRoot) -> None:
    root_with_volume.write("var/crash/old-report.crash", "x")
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.result["status"] == "prepared"
    assert "holds files already" in run.stderr
    assert root_with_volume.read("var/crash/old-report.crash") == "x"


def test_waits_for_a_disk_that_appears_late(root_with_volume: FakeRoot) -> None:
    root = root_with_volume
    (root.path / "detached").mkdir()
    (root.path / "sys/block/nvme1n1").rename(root.path / "detached/nvme1n1")
    root.write("attach-after", "3")
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"


def test_nothing_on_the_volume_is_run_or_opened_as_a_device(root_with_volume: FakeRoot) -> None:
    root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert " /var/crash rw,nosuid,nodev,noexec," in root_with_volume.read("proc/self/mountinfo")


def test_a_volume_that_was_mounted_without_these_options_is_mounted_again(root_with_volume: FakeRoot) -> None:
    root = root_with_volume
    root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    mounts = root.read("proc/self/mountinfo").replace("rw,nosuid,nodev,noexec,", "rw,")
    root.write("proc/self/mountinfo", mounts)
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert root.called("mount")[-1] == "mount -o remount,nosuid,nodev,noexec /var/crash"
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "unchanged"


def test_a_volume_that_cannot_be_restricted_is_no_dump_volume(root_with_volume: FakeRoot) -> None:
    root = root_with_volume
    root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    mounts = root.read("proc/self/mountinfo").replace("rw,nosuid,nodev,noexec,", "rw,nosuid,")
    root.write("proc/self/mountinfo", mounts)
    root.write("mount-refuses", "")
    run = root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "ConfigurationFailed"
    assert "nosuid,nodev,noexec" in run.stdout
