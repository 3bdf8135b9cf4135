"""The copy of a dump volume on a collector: found by serial, mounted read-only, with its journal if that can be."""

import pytest

from tests.ssm_documents.dumps import STAMP, flattened, put
from tests.ssm_documents.fake_root import MIB, VOLUME_ID, FakeRoot

POINT = "/mnt/hangdump-rescue"
SERIAL = VOLUME_ID.replace("-", "")


@pytest.fixture
def collector(root: FakeRoot) -> FakeRoot:
    """With a copy attached whose partition holds xfs."""
    root.add_disk("nvme1n1", serial=SERIAL, device="259:2", partition_name="hangdump")
    root.write("signatures/nvme1n1p1", "TYPE=xfs\nLABEL=HANGDUMP\n")
    return root


def _mounts(root: FakeRoot) -> list[str]:
    return [call.split(" -o ")[1].split()[0] for call in root.called("mount")]


def test_mounts_the_partition_read_only_with_its_journal(collector: FakeRoot) -> None:
    result = collector.run("mount_dump_copy", volumeId=VOLUME_ID).result

    assert result == {
        "status": "mounted",
        "device": "/dev/nvme1n1p1",
        "fileSystem": "xfs",
        "journal": "replayed",
        "mountPoint": POINT,
        "volumeEmpty": True,
        "fileCount": 0,
        "files": [],
    }
    assert _mounts(collector) == ["ro,nosuid,nodev,noexec,nouuid"]
    assert f" {POINT} ro,nosuid" in collector.read("proc/self/mountinfo")


@pytest.mark.parametrize(("file_system", "without"), [("xfs", "norecovery"), ("ext4", "noload")])
def test_reads_the_file_system_as_it_lies_when_its_journal_cannot_be_replayed(
    collector: FakeRoot, file_system: str, without: str
) -> None:
    collector.write("signatures/nvme1n1p1", f"TYPE={file_system}\n")
    collector.write("mount-refuses-options", "ro,nosuid,nodev,noexec" + (",nouuid" if file_system == "xfs" else ""))

    result = collector.run("mount_dump_copy", volumeId=VOLUME_ID).result

    assert (result["journal"], result["volumeEmpty"]) == ("ignored", False)
    again = collector.run("mount_dump_copy", volumeId=VOLUME_ID).result
    assert (again["journal"], again["volumeEmpty"]) == ("mounted-before", False)
    assert _mounts(collector)[-1].endswith(f",{without}")
    assert all(options.startswith("ro,nosuid,nodev,noexec") for options in _mounts(collector))


def test_mounts_a_file_system_on_the_whole_disk(root: FakeRoot) -> None:
    root.add_disk("nvme1n1", serial=SERIAL, device="259:2")
    root.write("signatures/nvme1n1", "TYPE=ext4\n")

    assert root.run("mount_dump_copy", volumeId=VOLUME_ID).result["device"] == "/dev/nvme1n1"


def test_says_so_when_nothing_can_be_mounted(collector: FakeRoot) -> None:
    collector.write("mount-refuses-options", "ro,*")

    run = collector.run("mount_dump_copy", volumeId=VOLUME_ID)

    assert run.error == "DumpVolumeMismatch"
    assert "not even without its journal" in run.stdout


def test_refuses_a_disk_without_a_file_system_of_a_dump_volume(collector: FakeRoot) -> None:
    collector.write("signatures/nvme1n1p1", "TYPE=swap\n")

    assert collector.run("mount_dump_copy", volumeId=VOLUME_ID).error == "DumpVolumeMismatch"
    assert _mounts(collector) == []


def test_names_the_disk_that_is_not_there(root: FakeRoot) -> None:
    run = root.run("mount_dump_copy", volumeId=VOLUME_ID)

    assert run.error == "DumpVolumeNotFound"
    assert SERIAL in run.stdout


def test_mounts_once_when_run_again(collector: FakeRoot) -> None:
    collector.run("mount_dump_copy", volumeId=VOLUME_ID)

    again = collector.run("mount_dump_copy", volumeId=VOLUME_ID).result
    assert (again["journal"], again["volumeEmpty"]) == ("mounted-before", True)
    assert len(_mounts(collector)) == 1


def test_says_what_is_on_the_copy_but_for_what_kdump_leaves_beside_dumps(collector: FakeRoot) -> None:
    for name in ("kexec_cmd", "kdump_lock", "lost+found/#12"):
        collector.write(f"{POINT}/{name}".lstrip("/"), "")
    assert collector.run("mount_dump_copy", volumeId=VOLUME_ID).result["volumeEmpty"] is True

    for number in range(21):
        collector.write(f"{POINT}/notes/{number:02}".lstrip("/"), "")
    result = collector.run("mount_dump_copy", volumeId=VOLUME_ID).result

    assert (result["volumeEmpty"], result["fileCount"]) == (False, 21)
    assert result["files"] == [f"notes/{number:02}" for number in range(20)]


def test_calls_a_copy_with_another_partition_not_empty(collector: FakeRoot) -> None:
    collector.write("sys/block/nvme1n1/nvme1n1p2/partition", "2\n")
    collector.write("sys/block/nvme1n1/nvme1n1p2/dev", "259:9\n")

    assert collector.run("mount_dump_copy", volumeId=VOLUME_ID).result["volumeEmpty"] is False


@pytest.mark.parametrize("point", ["/", "/etc", "/proc/1"])
def test_hides_no_part_of_the_system(collector: FakeRoot, point: str) -> None:
    run = collector.run("mount_dump_copy", volumeId=VOLUME_ID, mountPoint=point)

    assert run.error == "InvalidParameter"
    assert _mounts(collector) == []


def test_upload_vmcore_finds_the_dump_below_the_mount_point_of_the_copy(collector: FakeRoot) -> None:
    collector.run("mount_dump_copy", volumeId=VOLUME_ID)
    path = f"{POINT}/{STAMP}/dump.{STAMP}"
    put(collector, path, flattened(MIB))

    found = collector.run("upload_vmcore", mountPoint=POINT).result

    assert (found["status"], found["vmcore"]["path"]) == ("complete", path)
