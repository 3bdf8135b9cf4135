"""Packages on the RHEL-like family: which of them, and what stands in the way."""

from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import host
from tests.ssm_documents.ready_host import fresh_host, prepared_copy

STATE = "var/lib/rpm"


def _installs(root: FakeRoot) -> list[str]:
    return [
        call.split(" install ")[1] for call in root.calls if " install " in call and call.startswith(("dnf", "yum"))
    ]


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        ("amzn2", "kexec-tools"),
        ("rhel9", "kexec-tools"),
        ("rhel10", "kdump-utils makedumpfile"),
        ("amzn2023", "kdump-utils makedumpfile"),
    ],
)
def test_installs_the_package_that_has_kdumpctl_there(tmp_path: Path, name: str, packages: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    result = root.run("configure_kdump").result
    assert f"package {packages.split(maxsplit=1)[0]}" in result["changes"]
    assert _installs(root) == [packages]


def test_makedumpfile_that_is_a_package_of_its_own_is_installed_too(tmp_path: Path) -> None:
    root = prepared_copy("rhel9", tmp_path / "root")
    root.write(f"{STATE}/installed", "kexec-tools\n")
    (root.path / "usr/sbin/kdumpctl").write_text("#!/bin/bash\n")
    root.write(f"{STATE}/offered", "kexec-tools\nmakedumpfile\n")
    root.run("configure_kdump")
    assert _installs(root) == ["kexec-tools", "makedumpfile"]


def test_kdump_that_is_there_already_is_not_installed(tmp_path: Path) -> None:
    root = prepared_copy("rhel9", tmp_path / "root")
    root.command("dnf", "install", "kexec-tools")
    before = len(_installs(root))
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    assert len(_installs(root)) == before


@pytest.mark.parametrize("name", ["amzn2", "rhel9"])
def test_waits_while_another_process_holds_the_lock(tmp_path: Path, name: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    root.write(f"{STATE}/times-locked", "3")
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    assert len(root.called("sleep")) == 3


@pytest.mark.parametrize(("name", "tool"), [("amzn2", "yum"), ("rhel9", "dnf")])
def test_gives_up_when_the_lock_stays_held(tmp_path: Path, name: str, tool: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    root.write(f"{STATE}/times-locked", "100000")
    run = root.run("configure_kdump")
    assert run.error == "PackageUnavailable"
    assert f"kept {tool}'s lock for five minutes" in run.stdout
    assert len(root.called("sleep")) == 60


def test_metadata_that_is_old_is_fetched_once(tmp_path: Path) -> None:
    root = prepared_copy("rhel9", tmp_path / "root")
    root.write(f"{STATE}/stale", "")
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    assert len([call for call in root.calls if "clean expire-cache" in call]) == 1


def test_package_that_cannot_be_had_is_named_and_nothing_is_configured(tmp_path: Path) -> None:
    root = prepared_copy("rhel9", tmp_path / "root")
    root.write(f"{STATE}/offered", "xfsprogs\n")
    before = root.tree()
    run = root.run("configure_kdump")
    assert run.error == "PackageUnavailable"
    assert "Unable to find a match: kexec-tools" in run.stdout
    assert root.tree() == before


def test_tools_for_the_dump_volume_are_installed_when_missing(tmp_path: Path) -> None:
    root = fresh_host(host("rhel9"), tmp_path / "root")
    for tool in ("sfdisk", "mkfs.xfs"):
        (root.path / "usr/sbin" / tool).unlink()
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert _installs(root) == ["xfsprogs", "util-linux"]


def test_sfdisk_that_knows_no_gpt_is_not_used(tmp_path: Path) -> None:
    root = fresh_host(host("rhel7"), tmp_path / "root")
    root.write("sfdisk-is-old", "")
    assert root.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "prepared"
    assert _installs(root) == ["gdisk"]
    assert root.called("sgdisk")


@pytest.mark.parametrize(
    ("name", "is_labelled"), [("rhel9", True), ("amzn2", False)], ids=["with-selinux", "without-selinux"]
)
def test_new_file_system_is_labelled_for_selinux(tmp_path: Path, name: str, *, is_labelled: bool) -> None:
    root = prepared_copy(name, tmp_path / "root")
    labelled = [call for call in root.called("restorecon") if call.endswith("/var/crash")]
    assert len(labelled) == is_labelled


def test_file_system_that_was_there_keeps_its_labels(tmp_path: Path) -> None:
    root = prepared_copy("rhel9", tmp_path / "root")
    before = len(root.called("restorecon"))
    root.run("prepare_dump_volume", volumeId=VOLUME_ID)
    assert len(root.called("restorecon")) == before
