"""upload_vmcore, action find: the vmcore of one crash, and whether it is complete."""

import base64
import subprocess
from pathlib import Path

import pytest

from ssm_documents.assemble import assemble, script_of
from tests.ssm_documents.dumps import CRASHED_AT, STAMP, VMCORE, digest_of, flattened, put, sles_readme
from tests.ssm_documents.fake_root import KERNEL, MIB, FakeRoot


def test_finds_the_dump_and_its_dmesg(root: FakeRoot, dump: bytes) -> None:
    result = root.run("upload_vmcore", since=str(CRASHED_AT - 60)).result
    assert result == {
        "status": "complete",
        "vmcore": {
            "path": VMCORE,
            "sizeBytes": len(dump),
            "modifiedEpoch": CRASHED_AT,
        },
        "dmesg": {
            "path": f"/var/crash/{STAMP}/dmesg.{STAMP}",
            "sizeBytes": 48,
            "digest": digest_of(b"Kernel panic - not syncing: NMI: Not continuing\n"),
        },
        "bootId": "00000000-0000-4000-8000-000000000000",
        "bootedAt": "2026-11-23T02:13:20Z",
        "kernel": KERNEL,
        "memoryBytes": 985 * MIB,
    }


def test_finds_the_dump_where_the_host_mounts_its_dump_volume(root: FakeRoot, dump: bytes) -> None:
    """A mount point that was chosen for this instance alone is not among the parameters of the collection."""
    (root.path / "var/crash").rename(root.path / "dumps")
    root.write("etc/fstab", "UUID=1 / ext4 rw 0 1\nUUID=2 /dumps xfs nofail,x-hangdump 0 0\n")
    result = root.run("upload_vmcore", mountPoint="/var/crash").result
    assert result["vmcore"]["path"] == VMCORE.replace("/var/crash", "/dumps")


def test_finds_the_dump_where_ubuntu_s_cron_job_does_not_remove_it(root: FakeRoot, dump: bytes) -> None:
    (root.path / "var/crash/hangdump").mkdir()
    (root.path / VMCORE[1:]).parent.rename(root.path / f"var/crash/hangdump/{STAMP}")
    path = VMCORE.replace("/var/crash", "/var/crash/hangdump")
    vmcore = root.run("upload_vmcore").result["vmcore"]
    assert vmcore["path"] == path
    given = {"vmcorePath": path, "sizeBytes": str(vmcore["sizeBytes"]), "modifiedEpoch": str(vmcore["modifiedEpoch"])}
    assert root.run("upload_vmcore", action="remove", **given).result["status"] == "removed"
    assert list((root.path / "var/crash/hangdump").iterdir()) == []


def _call(tmp_path: Path, function: str) -> str:
    """The output of a function of the document, sourced without running it."""
    script = tmp_path / "sourced.sh"
    script.write_text(script_of(assemble("upload_vmcore")))
    return subprocess.run(
        ["/bin/bash", "-c", f". {script}; {function}"], capture_output=True, text=True, check=True
    ).stdout


def test_digest_of_bytes_that_a_shell_would_eat(tmp_path: Path) -> None:
    """Zero bytes, newlines, percent signs and backslashes in a digest survive the way through the shell."""
    digest = bytes.fromhex("00250a5c0d7fff80" * 4)
    assert _call(tmp_path, f"echo '{digest.hex()}  -' | base64_of_hex") == base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("dump", "dmesg"),
    [
        (VMCORE, f"/var/crash/{STAMP}/dmesg.{STAMP}"),
        (f"/var/crash/{STAMP}/vmcore.{STAMP}", f"/var/crash/{STAMP}/dmesg.{STAMP}"),
        (
            "/var/crash/127.0.0.1-2026-11-23/vmcore",
            "/var/crash/127.0.0.1-2026-11-23/vmcore-dmesg.txt",
        ),
        ("/127.0.0.1-2026-11-23-00:00:00/vmcore", "/127.0.0.1-2026-11-23-00:00:00/vmcore-dmesg.txt"),
        ("/var/crash/127.0.0.1-2026-11-23/vmcore.flat", "/var/crash/127.0.0.1-2026-11-23/vmcore-dmesg.txt"),
        ("/var/crash/2026-11-23-00-00/vmcore", "/var/crash/2026-11-23-00-00/dmesg"),
        ("/var/crash/2026-11-23-00:00/vmcore", "/var/crash/2026-11-23-00:00/dmesg.txt"),
    ],
    ids=["debian", "debian-copied-raw", "rhel", "rhel-dump-to-rootfs", "rhel-flattened", "sles", "sles-kdump-1"],
)
def test_knows_the_layouts(root: FakeRoot, dump: str, dmesg: str) -> None:
    put(root, dump, b"KDUMP   data")
    put(root, dmesg, b"panic\n")
    if dump.startswith("/var/crash/2026-"):
        put(root, dump.replace("vmcore", "README.txt"), sles_readme())
    result = root.run("upload_vmcore").result
    assert (result["status"], result["vmcore"]["path"], result["dmesg"]["path"]) == ("complete", dump, dmesg)


def test_older_dump_is_not_the_one_of_this_crash(root: FakeRoot, dump: bytes) -> None:
    run = root.run("upload_vmcore", since=str(CRASHED_AT))
    assert run.error == "VmcoreNotFound"
    assert "2026-11-23T00:00:00Z" in run.stdout


def test_newest_complete_dump_wins(root: FakeRoot, dump: bytes) -> None:
    put(root, "/var/crash/202611220400/dump.202611220400", flattened(5000), modified=CRASHED_AT - 86400)
    put(root, "/var/crash/202611230100/dump-incomplete", b"makedumpfile", modified=CRASHED_AT + 3600)
    result = root.run("upload_vmcore").result
    assert (result["status"], result["vmcore"]["path"]) == ("complete", VMCORE)


def test_no_dump_at_all(root: FakeRoot) -> None:
    assert root.run("upload_vmcore").error == "VmcoreNotFound"


def test_directory_without_a_dump_is_none(root: FakeRoot) -> None:
    put(root, f"/var/crash/{STAMP}/dmesg.{STAMP}", b"panic\n")
    put(root, "/var/crash/kexec_cmd", b"x")
    assert root.run("upload_vmcore").error == "VmcoreNotFound"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("dump-incomplete", flattened(5000)),
        ("vmcore-incomplete", b"KDUMP   data"),
        (f"dump.{STAMP}", flattened(5000)[:-16]),
        (f"dump.{STAMP}", b""),
    ],
    ids=["named-incomplete", "raw-copy-incomplete", "cut-short-under-the-name-of-a-complete-one", "empty"],
)
def test_incomplete_dump_is_named_as_such(root: FakeRoot, name: str, data: bytes) -> None:
    path = f"/var/crash/{STAMP}/{name}"
    put(root, path, data)
    put(root, f"/var/crash/{STAMP}/dmesg.{STAMP}", b"panic\n")
    result = root.run("upload_vmcore").result
    assert result["status"] == "incomplete"
    assert result["vmcore"] == {"path": path, "sizeBytes": len(data), "modifiedEpoch": CRASHED_AT}
    assert result["dmesg"]["digest"] == digest_of(b"panic\n")


def test_dump_without_dmesg(root: FakeRoot) -> None:
    put(root, VMCORE, flattened(5000))
    assert root.run("upload_vmcore").result["dmesg"] is None
