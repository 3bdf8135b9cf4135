"""upload_vmcore, action remove: exactly the dump that is safe elsewhere, and nothing else."""

import json

import pytest

from tests.ssm_documents.dumps import CRASHED_AT, STAMP, VMCORE, flattened, put
from tests.ssm_documents.fake_root import FakeRoot


def _removal(root: FakeRoot) -> dict[str, str]:
    vmcore = root.run("upload_vmcore").result["vmcore"]
    return {
        "action": "remove",
        "vmcorePath": vmcore["path"],
        "sizeBytes": str(vmcore["sizeBytes"]),
        "modifiedEpoch": str(vmcore["modifiedEpoch"]),
    }


def test_dump_and_what_is_useless_without_it_is_removed(root: FakeRoot, dump: bytes) -> None:
    result = root.run("upload_vmcore", **_removal(root)).result
    assert result == {"status": "removed", "freedBytes": len(dump) + 48}
    assert not (root.path / "var/crash" / STAMP).exists()
    assert (root.path / "var/crash/kexec_cmd").exists()


def test_second_removal_finds_it_done(root: FakeRoot, dump: bytes) -> None:
    parameters = _removal(root)
    root.run("upload_vmcore", **parameters)
    assert root.run("upload_vmcore", **parameters).result == {"status": "already-removed", "freedBytes": 0}


def test_removal_that_was_cut_short_is_finished(root: FakeRoot, dump: bytes) -> None:
    parameters = _removal(root)
    (root.path / VMCORE.lstrip("/")).unlink()
    assert root.run("upload_vmcore", **parameters).result == {"status": "already-removed", "freedBytes": 48}
    assert not (root.path / "var/crash" / STAMP).exists()


@pytest.mark.parametrize("change", ["bytes", "time"])
def test_vmcore_that_changed_is_not_removed(root: FakeRoot, dump: bytes, change: str) -> None:
    parameters = _removal(root)
    put(root, VMCORE, dump if change == "time" else dump + b"x", modified=CRASHED_AT + (change == "time"))
    run = root.run("upload_vmcore", **parameters)
    assert (run.exit_code, run.error) == (1, "VmcoreChanged")
    assert (root.path / VMCORE.lstrip("/")).exists()
    assert (root.path / f"var/crash/{STAMP}/dmesg.{STAMP}").exists()


def test_other_files_and_other_dumps_stay(root: FakeRoot, dump: bytes) -> None:
    parameters = _removal(root)
    put(root, f"/var/crash/{STAMP}/notes-of-the-admin", b"x")
    other = put(root, "/var/crash/202611220400/dump.202611220400", flattened(5000), modified=CRASHED_AT - 1)
    root.run("upload_vmcore", **parameters)
    assert [file.name for file in (root.path / "var/crash" / STAMP).iterdir()] == ["notes-of-the-admin"]
    assert other.exists()


def test_dmesg_stays_with_the_other_dump_of_its_directory(root: FakeRoot, dump: bytes) -> None:
    parameters = _removal(root)
    put(root, f"/var/crash/{STAMP}/vmcore.{STAMP}", b"KDUMP   x", modified=CRASHED_AT - 1)
    root.run("upload_vmcore", **parameters)
    assert (root.path / f"var/crash/{STAMP}/dmesg.{STAMP}").exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "/var/crash/kexec_cmd", f"/var/crash/{STAMP}/dmesg.{STAMP}", "none"])
def test_nothing_but_a_dump_below_the_mount_point_is_removed(root: FakeRoot, dump: bytes, path: str) -> None:
    root.write("etc/passwd", "root")
    run = root.run("upload_vmcore", action="remove", vmcorePath=path, sizeBytes="4", modifiedEpoch="1")
    assert run.error == "InvalidParameter"
    assert (root.path / "etc/passwd").exists()


def test_report_is_compact_json(root: FakeRoot, dump: bytes) -> None:
    stdout = root.run("upload_vmcore").stdout
    assert stdout == json.dumps(json.loads(stdout), separators=(",", ":"))
