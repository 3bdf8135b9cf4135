"""upload_vmcore, action find: what is a dump, whether it is complete, whether it is this crash's, what lies hidden."""

from pathlib import Path

import pytest

from tests.ssm_documents.dumps import CRASHED_AT, STAMP, VMCORE, flattened, put, sles_readme
from tests.ssm_documents.fake_root import BOOTED_AT_EPOCH, FakeRoot

SLES = "/var/crash/2026-11-23-00-00"
VOLUME = "90 25 259:3 / /var/crash rw,relatime shared:50 - xfs /dev/nvme1n1p1 rw\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (flattened(5000), "complete"),
        (b"KDUMP   \x06\0\0\0data", "complete"),
        (b"DISKDUMPdata", "complete"),
        (b"\x7fELF\x02\x01\x01data", "complete"),
        (b"", "incomplete"),
        (b"\0" * 5000, "incomplete"),
    ],
    ids=["flattened", "kdump-compressed", "diskdump", "elf", "empty", "zeros-that-never-reached-the-disk"],
)
def test_dump_is_known_by_how_it_begins(root: FakeRoot, data: bytes, status: str) -> None:
    put(root, VMCORE, data)
    assert root.run("upload_vmcore").result["status"] == status


@pytest.mark.parametrize("name", ["vmcore", f"dump.{STAMP}", "vmcore.flat"])
def test_text_with_the_name_of_a_dump_is_none(root: FakeRoot, name: str) -> None:
    put(root, f"/var/crash/{STAMP}/{name}", b"see the ticket\n")
    assert root.run("upload_vmcore").error == "VmcoreNotFound"


@pytest.mark.parametrize(
    ("readme", "status"),
    [
        (sles_readme(), "complete"),
        (b"Kernel crashdump\n----------------\n\nCrash time     : 2026-11-23 00:00 (+0000)\n", "complete"),
        (sles_readme(None), "incomplete"),
        (sles_readme("error while saving, return code: 1"), "incomplete"),
        (None, "incomplete"),
    ],
    ids=["kdump-2", "kdump-1", "never-finished", "error", "none-yet"],
)
def test_readme_of_sles_says_whether_the_dump_is_complete(root: FakeRoot, readme: bytes | None, status: str) -> None:
    put(root, f"{SLES}/vmcore", flattened(5000))
    if readme is not None:
        put(root, f"{SLES}/README.txt", readme)
    assert root.run("upload_vmcore").result["status"] == status


@pytest.mark.parametrize("since", ["none", str(CRASHED_AT - 60)])
def test_dump_that_is_written_after_the_boot_is_not_this_crash_s(root: FakeRoot, dump: bytes, since: str) -> None:
    """A copy that somebody makes, still growing perhaps."""
    put(root, "/var/crash/copy/vmcore", b"KDUMP   data", modified=BOOTED_AT_EPOCH + 3600)
    assert root.run("upload_vmcore", since=since).result["vmcore"]["path"] == VMCORE


def test_dump_that_is_too_young_is_named_when_there_is_no_other(root: FakeRoot) -> None:
    put(root, VMCORE, b"KDUMP   data", modified=BOOTED_AT_EPOCH + 3600)
    run = root.run("upload_vmcore")
    assert run.error == "VmcoreNotFound"
    assert f"{VMCORE} was written after this boot" in run.stdout


def test_clock_of_the_crash_kernel_may_be_a_little_ahead(root: FakeRoot) -> None:
    put(root, VMCORE, b"KDUMP   data", modified=BOOTED_AT_EPOCH + 20)
    assert root.run("upload_vmcore").result["status"] == "complete"


@pytest.fixture
def hidden(root: FakeRoot) -> FakeRoot:
    """The volume came late: the dump went to the root file system, and the volume is mounted over it now."""
    root.write("proc/self/mountinfo", root.read("proc/self/mountinfo") + VOLUME)
    (root.path / "var/crash").mkdir(parents=True)
    put(root, f"/beneath{VMCORE}", flattened(5000))
    put(root, f"/beneath/var/crash/{STAMP}/dmesg.{STAMP}", b"panic\n")
    return root


def _is_nothing_left(root: FakeRoot) -> bool:
    return (
        "hangdump-beneath" not in root.read("proc/self/mountinfo") and not (root.path / "run/hangdump-beneath").exists()
    )


def _parameters(root: FakeRoot) -> dict[str, str]:
    vmcore = root.run("upload_vmcore").result["vmcore"]
    return {
        "vmcorePath": vmcore["path"],
        "sizeBytes": str(vmcore["sizeBytes"]),
        "modifiedEpoch": str(vmcore["modifiedEpoch"]),
    }


def test_dump_beneath_the_mount_point_is_found_and_nothing_stays_mounted(hidden: FakeRoot) -> None:
    result = hidden.run("upload_vmcore").result
    assert (result["status"], result["vmcore"]["path"]) == ("complete", VMCORE)
    assert result["vmcore"]["beneathMount"] is True
    assert result["dmesg"]["path"] == f"/var/crash/{STAMP}/dmesg.{STAMP}"
    assert hidden.called("mount")[-1].startswith("mount -o bind,ro ")
    assert _is_nothing_left(hidden)


def test_dump_beneath_is_removed_there_once_it_is_safe(hidden: FakeRoot) -> None:
    parameters = _parameters(hidden)
    assert hidden.run("upload_vmcore", action="remove", **parameters).result["status"] == "removed"
    assert not (hidden.path / "beneath/var/crash" / STAMP).exists()
    assert (hidden.path / "beneath/var/crash").exists()
    assert _is_nothing_left(hidden)
    again = hidden.run("upload_vmcore", action="remove", **parameters).result
    assert again == {"status": "already-removed", "freedBytes": 0}


def test_dump_beneath_that_changed_is_not_removed(hidden: FakeRoot) -> None:
    parameters = _parameters(hidden)
    put(hidden, f"/beneath{VMCORE}", flattened(6000))
    assert hidden.run("upload_vmcore", action="remove", **parameters).error == "VmcoreChanged"
    assert (hidden.path / "beneath" / VMCORE.lstrip("/")).exists()
    assert _is_nothing_left(hidden)


def test_dump_on_the_volume_hides_the_one_of_the_same_path(hidden: FakeRoot) -> None:
    put(hidden, VMCORE, flattened(7000))
    vmcore = hidden.run("upload_vmcore").result["vmcore"]
    assert (vmcore["sizeBytes"], "beneathMount" in vmcore) == (7000, False)


def test_newest_dump_wins_wherever_it_lies(hidden: FakeRoot) -> None:
    put(hidden, "/var/crash/202611220000/dump.202611220000", flattened(7000), modified=CRASHED_AT - 86400)
    assert hidden.run("upload_vmcore").result["vmcore"]["beneathMount"] is True


def test_host_that_refuses_the_bind_mount_shows_what_is_visible(hidden: FakeRoot) -> None:
    hidden.write("bind-refuses", "")
    assert hidden.run("upload_vmcore").error == "VmcoreNotFound"
    assert _is_nothing_left(hidden)


def test_mount_that_a_killed_run_left_is_taken_away(hidden: FakeRoot) -> None:
    """The first umount finds it busy."""
    hidden.write("umount-is-busy", "")
    hidden.command("mkdir", "-p", str(hidden.path / "run/hangdump-beneath"))
    hidden.command("mount", "-o", "bind,rw", f"{hidden.path}/", str(hidden.path / "run/hangdump-beneath"))
    assert hidden.run("upload_vmcore").result["status"] == "complete"
    assert _is_nothing_left(hidden)


def test_mount_point_in_a_file_system_of_its_own_is_looked_into(hidden: FakeRoot) -> None:
    mounts = hidden.read("proc/self/mountinfo").replace(VOLUME, "")
    hidden.write("proc/self/mountinfo", f"{mounts}80 25 259:9 / /var rw shared:9 - xfs /dev/nvme0n1p3 rw\n{VOLUME}")
    assert hidden.run("upload_vmcore").result["vmcore"]["beneathMount"] is True
    assert f"{hidden.path}/var {hidden.path}/run/hangdump-beneath/var" in hidden.called("mount")[-1]
    assert _is_nothing_left(hidden)


def test_root_is_not_bound_when_nothing_is_mounted_over_it(root: FakeRoot, dump: bytes, tmp_path: Path) -> None:
    assert "beneathMount" not in root.run("upload_vmcore").result["vmcore"]
    assert not root.called("mount")
