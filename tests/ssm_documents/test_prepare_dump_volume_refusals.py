"""What prepare_dump_volume refuses: every disk that is not surely empty or surely its own."""

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot

SERIAL = VOLUME_ID.replace("-", "")
WRITING = ("sfdisk", "sgdisk", "mkfs.xfs", "mkfs.ext4")


def _writes(root: FakeRoot) -> list[str]:
    return [call for tool in WRITING for call in root.called(tool)]


def test_no_disk_with_that_serial_lists_those_there_are(root: FakeRoot) -> None:
    root.add_disk("nvme1n1", serial="vol0999999999999999f", device="259:2")
    run = root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "DumpVolumeNotFound"
    assert "nvme0n1=vol0aaaaaaaaaaaaaaaa nvme1n1=vol0999999999999999f" in run.stdout
    assert len(root.called("sleep")) == 30
    assert not _writes(root)


def test_of_two_empty_disks_the_one_with_the_serial_is_taken(root_with_volume: FakeRoot) -> None:
    root_with_volume.add_disk("nvme2n1", serial="vol0123456789abcdef1", device="259:6")
    assert root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).result["device"] == "/dev/nvme1n1"
    assert not any("nvme2n1" in call for call in root_with_volume.calls)


def test_two_disks_with_the_same_serial_are_refused(root_with_volume: FakeRoot) -> None:
    root_with_volume.add_disk("nvme2n1", serial=SERIAL, device="259:6")
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "DumpVolumeMismatch"
    assert not _writes(root_with_volume)


def test_hidden_multipath_node_is_no_second_disk(root_with_volume: FakeRoot) -> None:
    root_with_volume.add_disk("nvme1c1n1", serial=SERIAL, device="259:7")
    assert root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).result["device"] == "/dev/nvme1n1"


def test_without_a_volume_id_nothing_is_guessed(root_with_volume: FakeRoot) -> None:
    assert root_with_volume.run("prepare_dump_volume").error == "InvalidParameter"
    assert not _writes(root_with_volume)


def _with_signature(root: FakeRoot) -> None:
    root.write("signatures/nvme1n1", "TYPE=xfs\nLABEL=HANGDUMP\nUUID=x\n")


def _ambivalent(root: FakeRoot) -> None:
    root.write("signatures/nvme1n1", "ambivalent\n")


def _with_foreign_partition(root: FakeRoot) -> None:
    root.write("sys/block/nvme1n1/nvme1n1p1/partition", "1\n")
    root.write("sys/block/nvme1n1/nvme1n1p1/uevent", "PARTN=1\nPARTNAME=data\n")


def _with_two_partitions(root: FakeRoot) -> None:
    for number in (1, 2):
        root.write(f"sys/block/nvme1n1/nvme1n1p{number}/partition", f"{number}\n")
        root.write(f"sys/block/nvme1n1/nvme1n1p{number}/uevent", "PARTNAME=hangdump\n")


def _with_bytes_at(offset: int) -> object:
    def spoil(root: FakeRoot) -> None:
        with (root.path / "dev/nvme1n1").open("r+b") as file:
            file.seek(offset)
            file.write(b"raw database page" * 10_000)

    return spoil


def _with_holder(root: FakeRoot) -> None:
    root.write("sys/block/nvme1n1/holders/dm-0", "")


def _as_swap(root: FakeRoot) -> None:
    root.write("proc/swaps", "Filename\tType\n/dev/nvme1n1\tpartition\n")


def _mounted_as_a_whole(root: FakeRoot) -> None:
    root.write("proc/self/mountinfo", "90 25 259:2 / /data rw shared:1 - xfs /dev/nvme1n1 rw\n")


def _own_partition_with_another_label(root: FakeRoot) -> None:
    _with_two_partitions(root)
    (root.path / "sys/block/nvme1n1/nvme1n1p2/partition").unlink()
    root.write("sys/block/nvme1n1/nvme1n1p1/dev", "259:3\n")
    root.write("signatures/nvme1n1p1", "TYPE=ext4\nLABEL=photos\nUUID=x\n")


def _own_partition_with_a_damaged_file_system(root: FakeRoot) -> None:
    """ext4 whose first 2 KiB were zeroed: no tool knows it, but the dump is there."""
    _own_partition_with_another_label(root)
    (root.path / "signatures/nvme1n1p1").unlink()
    with (root.path / "dev/nvme1n1p1").open("wb") as file:
        file.truncate(1 << 30)
        file.seek(4096)
        file.write(b"group descriptors")


MIB = 1 << 20


@pytest.mark.parametrize("is_partition", [True, False], ids=["own-partition", "raw-disk"])
@pytest.mark.parametrize(
    ("size_mib", "at"),
    [
        pytest.param(8190, 3 * MIB, id="after-the-first-mib"),
        pytest.param(8190, 128 * MIB, id="ext4-first-copy-of-the-superblock"),
        pytest.param(1 << 16, 49 * 128 * MIB, id="ext4-a-later-copy"),
        pytest.param(400, 9 * 8 * MIB + 1024, id="ext4-with-blocks-of-1-kib"),
        pytest.param(8192, (8192 - 2) * MIB // 4, id="xfs-second-allocation-group"),
        pytest.param(50_000, 3 * 50_000 * MIB // 4 + 4096, id="xfs-last-allocation-group"),
        pytest.param(50_000, 5 * 50_000 * MIB // 16 + 4096, id="xfs-one-group-of-sixteen"),
        pytest.param(8192, 129 * MIB, id="ext4-copy-in-a-partition-that-began-at-1-mib"),
        pytest.param(50_000, 2 * (50_000 - 2) * MIB // 4 + MIB, id="xfs-group-in-a-partition-that-began-at-1-mib"),
        pytest.param(8190, 8190 * MIB - 4096, id="at-the-end"),
    ],
)
def test_a_device_of_which_any_part_of_a_file_system_is_left_is_not_formatted(
    root_with_volume: FakeRoot, is_partition: bool, size_mib: int, at: int
) -> None:
    root = root_with_volume
    name = "nvme1n1p1" if is_partition else "nvme1n1"
    if is_partition:
        _own_partition_with_another_label(root)
        (root.path / "signatures/nvme1n1p1").unlink()
    with (root.path / "dev" / name).open("wb") as file:
        file.truncate(size_mib * MIB)
        file.seek(at)
        file.write(b"superblock")
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).error == "DeviceHoldsData"
    assert not _writes(root)


def test_a_device_that_cannot_be_read_is_not_formatted(root_with_volume: FakeRoot) -> None:
    (root_with_volume.tools / "dd").unlink()
    root_with_volume.write("test-tools/dd", "#!/bin/sh\nexit 1\n").chmod(0o755)
    assert root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).error == "DeviceHoldsData"
    assert not _writes(root_with_volume)


@pytest.mark.parametrize(
    "spoil",
    [
        _with_signature,
        _ambivalent,
        _with_foreign_partition,
        _with_two_partitions,
        _with_bytes_at(0),
        _with_bytes_at((8 << 30) - 200_000),
        _with_holder,
        _as_swap,
        _mounted_as_a_whole,
        _own_partition_with_another_label,
        _own_partition_with_a_damaged_file_system,
    ],
    ids=[
        "signature",
        "ambivalent-signature",
        "foreign-partition",
        "two-partitions",
        "unknown-bytes-at-the-begin",
        "unknown-bytes-at-the-end",
        "holder",
        "swap",
        "mounted",
        "own-partition-relabelled",
        "own-file-system-damaged",
    ],
)
def test_disk_that_holds_data_is_never_touched(root_with_volume: FakeRoot, spoil: object) -> None:
    assert callable(spoil)
    spoil(root_with_volume)
    before = root_with_volume.tree()
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert (run.exit_code, run.error) == (1, "DeviceHoldsData")
    assert root_with_volume.tree() == before
    assert not _writes(root_with_volume)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/fstab", "UUID=4f68bce3 / ext4 rw 0 1\nLABEL=logs /var/crash ext4 defaults 0 2\n"),
        ("proc/self/mountinfo", "90 25 259:1 / /var/crash rw shared:1 - ext4 /dev/nvme0n1p1 rw\n"),
        ("proc/self/mountinfo", "90 25 0:45 / /var/crash rw shared:1 - tmpfs tmpfs rw\n"),
    ],
    ids=["fstab", "mounted-disk", "mounted-tmpfs"],
)
def test_another_file_system_at_the_mount_point_is_refused(root_with_volume: FakeRoot, path: str, text: str) -> None:
    root_with_volume.write(path, text)
    before = root_with_volume.tree()
    assert root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).error == "DumpVolumeMismatch"
    assert root_with_volume.tree() == before


@pytest.mark.parametrize(
    "line",
    [
        "LABEL=olddata /var/crash/ ext4 defaults 0 2",
        "LABEL=olddata\t//var///crash\text4\tdefaults\t0\t2",
        "LABEL=olddata /var/./crash/. ext4 defaults 0 2",
        "LABEL=x-hangdump /var/crash ext4 defaults 0 2",
        "/dev/disk/by-id/x-hangdump /var/crash/ ext4 defaults 0 2",
        "server:/dumps /var/crash/ nfs nofail 0 0",
        "LABEL=olddata /dumps/crash ext4 defaults 0 2",
    ],
    ids=["final-slash", "doubled-slashes", "dots", "label", "device", "remote", "through-a-link"],
)
def test_owners_file_system_at_the_mount_point_is_refused_however_its_path_is_written(
    root_with_volume: FakeRoot, line: str
) -> None:
    root = root_with_volume
    (root.path / "var/crash").mkdir(parents=True)
    (root.path / "dumps").symlink_to("var")
    root.write("signatures/nvme9n1p1", "TYPE=ext4\nLABEL=olddata\nUUID=x\n")
    root.write("etc/fstab", f"UUID=4f68bce3 / ext4 rw 0 1\n{line}\n")
    before = root.tree()
    run = root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "DumpVolumeMismatch"
    assert f"'{line.split(maxsplit=1)[0]}'" in run.stdout
    assert root.tree() == before


def test_a_comment_and_another_path_in_fstab_are_no_obstacle(root_with_volume: FakeRoot) -> None:
    foreign = "#LABEL=old /var/crash ext4 defaults 0 2\n/dev/sdz /var/crash2 xfs rw 0 0\ns:/x /var/crash/x nfs rw 0 0\n"
    root_with_volume.write("etc/fstab", foreign)
    assert root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert root_with_volume.read("etc/fstab").startswith(foreign)


@pytest.mark.parametrize("path", ["etc/systemd/system/var-crash.mount", "usr/lib/systemd/system/var-crash.mount"])
def test_a_mount_unit_that_would_win_over_fstab_at_boot_is_refused(root_with_volume: FakeRoot, path: str) -> None:
    root_with_volume.write(path, "[Mount]\nWhat=LABEL=olddata\nWhere=/var/crash\n")
    before = root_with_volume.tree()
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "DumpVolumeMismatch"
    assert f"/{path}" in run.stdout
    assert root_with_volume.tree() == before


@pytest.mark.parametrize(
    ("link", "to", "real"),
    [
        ("var/crash", "../data/crash", "/data/crash"),
        ("var/crash", "/data/crash", "/data/crash"),
        ("var", "mnt", "/mnt/crash"),
    ],
    ids=["relative", "absolute", "parent"],
)
@pytest.mark.parametrize("document", ["prepare_dump_volume", "configure_kdump", "mount_dump_copy"])
def test_mount_point_through_a_symbolic_link_is_refused_with_the_real_path(
    root_with_volume: FakeRoot, document: str, link: str, to: str, real: str
) -> None:
    root = root_with_volume
    if link == "var":
        (root.path / "var").rename(root.path / "mnt")
    (root.path / link).symlink_to(to)
    before = root.tree()
    given = {} if document == "configure_kdump" else {"volumeId": VOLUME_ID}
    run = root.run(document, mountPoint="/var/crash", **given)
    assert run.error == "InvalidParameter"
    assert f"mountPoint {real}." in run.stdout
    assert root.tree() == before


def test_real_path_of_a_link_is_taken_where_an_earlier_run_used_the_link(root_with_volume: FakeRoot) -> None:
    root = root_with_volume
    root.write("file-systems", f"/ {8 << 30} {4 << 30}\n/data/crash {8 << 30} {7 << 30}\n")
    root.run("prepare_dump_volume", volumeId=VOLUME_ID, mountPoint="/data/crash")
    (root.path / "var").mkdir(exist_ok=True)
    (root.path / "var/crash").symlink_to("../data/crash")
    root.write("etc/fstab", root.read("etc/fstab").replace("/data/crash", "/var/crash"))
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID, mountPoint="/data/crash").exit_code == 0
    assert " /data/crash xfs " in root.read("etc/fstab")
    assert " /var/crash " not in root.read("etc/fstab")


def test_link_into_a_directory_of_the_system_is_no_mount_point(root_with_volume: FakeRoot) -> None:
    (root_with_volume.path / "var").mkdir(exist_ok=True)
    (root_with_volume.path / "var/crash").symlink_to("../usr/share/crash")
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "InvalidParameter"
    assert "belongs to the system" in run.stdout


def test_mount_that_succeeds_without_mounting_is_an_error(root_with_volume: FakeRoot) -> None:
    root_with_volume.write("mount-finds-no-device", "")
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "ConfigurationFailed"
    assert "nothing is mounted at /var/crash" in run.stdout
    (root_with_volume.path / "mount-finds-no-device").unlink()
    assert root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"


def test_a_copy_with_the_same_uuid_is_not_taken_for_the_dump_volume(root_with_volume: FakeRoot) -> None:
    root = root_with_volume
    root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    root.command("umount", "/var/crash")
    root.add_disk("nvme0n9", serial="vol0fffffffffffffffe", device="259:20", partition_name="hangdump")
    root.write("signatures/nvme0n9p1", root.read("signatures/nvme1n1p1"))
    before = root.tree()
    run = root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "DumpVolumeMismatch"
    assert "vol0fffffffffffffffe" in run.stdout
    assert root.tree() == before


def test_a_line_of_fstab_is_not_quoted_with_its_options(root_with_volume: FakeRoot) -> None:
    root_with_volume.write("etc/fstab", "//files/crash /var/crash cifs username=u,password=secret 0 0\n")
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert "'//files/crash'" in run.stdout
    assert "secret" not in run.stdout + run.stderr


def test_own_volume_mounted_elsewhere_is_not_moved(root_with_volume: FakeRoot) -> None:
    root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID, mountPoint="/mnt/dumps")
    assert run.error == "DumpVolumeMismatch"
    assert "/var/crash" in run.stdout


@pytest.mark.parametrize("mount_point", ["/etc", "/boot/efi", "/usr/lib", "/var", "/tmp"])
def test_directory_of_the_system_is_no_mount_point(root_with_volume: FakeRoot, mount_point: str) -> None:
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID, mountPoint=mount_point)
    assert run.error == "InvalidParameter"
    assert not _writes(root_with_volume)


def test_mount_that_fails_is_named_and_can_be_repeated(root_with_volume: FakeRoot) -> None:
    root_with_volume.write("mount-refuses", "")
    run = root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "ConfigurationFailed"
    assert "wrong fs type" in run.stdout
    (root_with_volume.path / "mount-refuses").unlink()
    assert root_with_volume.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert len(_writes(root_with_volume)) == 2


def test_package_that_cannot_be_had_is_named_before_the_disk_is_touched(root: FakeRoot) -> None:
    root.add_disk("nvme1n1", serial=SERIAL, device="259:2")
    (root.path / "var/lib/apt/lists").unlink()
    root.write("var/lib/apt/unreachable", "")
    run = root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert run.error == "PackageUnavailable"
    assert "Unable to locate package xfsprogs" in run.stdout
    assert not _writes(root)
