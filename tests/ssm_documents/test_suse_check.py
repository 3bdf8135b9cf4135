"""check_kdump on SLES 16: what only this family can have wrong, each named alone."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.test_suse_configure import CONFIGURATION, new_root

INITRD = "var/lib/kdump/initrd"


@pytest.fixture(scope="module")
def armed_template(tmp_path_factory: pytest.TempPathFactory) -> FakeRoot:
    """Ready to dump, for copies."""
    root = new_root(tmp_path_factory.mktemp("sles"), "sles16")
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    root.reboot()
    assert root.run("configure_kdump").exit_code == 0
    return root


@pytest.fixture
def sles(armed_template: FakeRoot, tmp_path: Path) -> FakeRoot:
    """Ready to dump."""
    return FakeRoot.copied(armed_template, tmp_path / "armed")


def _set(key: str, value: str) -> Callable[[FakeRoot], object]:
    def change(root: FakeRoot) -> None:
        lines = root.read(CONFIGURATION).splitlines()
        root.write(CONFIGURATION, "\n".join(f"{key}={value}" if line.startswith(f"{key}=") else line for line in lines))
        # As its owner would make it take effect.
        root.command("mkdumprd", "-f")

    return change


def _edit(path: str, old: str, new: str) -> Callable[[FakeRoot], object]:
    return lambda root: root.write(path, root.read(path).replace(old, new))


BREAKS = {
    "saves-elsewhere": (_set("KDUMP_SAVEDIR", '"nfs://server/crash"'), "family-configuration-missing", "nfs://server"),
    "own-transfer": (
        _set("KDUMP_TRANSFER", '"/root/send"'),
        "family-configuration-missing",
        "KDUMP_TRANSFER=/root/send",
    ),
    "deletes-old-dumps": (
        _set("KDUMP_KEEP_OLD_DUMPS", "-1"),
        "family-configuration-missing",
        "KDUMP_KEEP_OLD_DUMPS=-1",
    ),
    "deletes-the-new-dump": (_set("KDUMP_FREE_DISK_SIZE", "64"), "family-configuration-missing", "=64"),
    "saves-no-vmcore": (_set("KDUMP_DUMPFORMAT", '"none"'), "family-configuration-missing", "KDUMP_DUMPFORMAT=none"),
    "shell-after-the-dump": (_set("KDUMP_IMMEDIATE_REBOOT", '"no"'), "final-action", "shell"),
    "shell-on-error": (_set("KDUMP_CONTINUE_ON_ERROR", '"false"'), "failure-action", "shell"),
    "package-removed": (
        lambda root: root.write("var/lib/rpm/installed", "dracut\n"),
        "family-configuration-missing",
        "not both installed",
    ),
    "drop-in-removed": (
        lambda root: (root.path / "etc/systemd/system/kdump.service.d/hangdump.conf").unlink(),
        "drop-in-missing",
        "var-crash.mount",
    ),
    "initrd-of-another-volume": (_edit(INITRD, "0a1b2c3d", "99999999"), "crash-initramfs-stale", "another file system"),
    "initrd-of-the-root-file-system": (
        _edit(INITRD, "/kdump/mnt/var/crash", "/kdump/mnt/"),
        "crash-initramfs-stale",
        "another file system",
    ),
    "initrd-without-nvme": (_edit(INITRD, "nvme.ko.zst", "ahci.ko.zst"), "crash-initramfs-lacks-nvme", "nvme"),
    "service-disabled": (
        lambda root: root.write("units/kdump.service", "disabled\n"),
        "service-disabled",
        "kdump.service",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_one_cause_is_named_alone(sles: FakeRoot, name: str) -> None:
    change, code, observed = BREAKS[name]
    change(sles)
    check = sles.run("check_kdump", volumeId=VOLUME_ID).result
    assert [finding["code"] for finding in check["findings"]] == [code]
    assert observed in check["findings"][0]["observed"]


def test_reservation_that_is_smaller_than_kdumptool_reckons_is_named(sles: FakeRoot) -> None:
    """Four MiB less are within its own tolerance."""
    for mib, codes in ((182, []), (160, ["reservation-too-small"])):
        for path in ("boot/grub2/grub.cfg", "proc/cmdline"):
            sles.write(path, re.sub(r"crashkernel=\d+M", f"crashkernel={mib}M", sles.read(path)))
        sles.write("sys/kernel/kexec_crash_size", f"{mib << 20}\n")
        check = sles.run("check_kdump", volumeId=VOLUME_ID).result
        assert [finding["code"] for finding in check["findings"]] == codes


@pytest.mark.parametrize("name", ["initrd-of-another-volume", "initrd-of-the-root-file-system"])
def test_configuring_again_builds_the_initrd_anew(sles: FakeRoot, name: str) -> None:
    BREAKS[name][0](sles)
    assert "crash kernel loaded again" in sles.run("configure_kdump").result["changes"]
    assert sles.run("check_kdump", volumeId=VOLUME_ID).result["findings"] == []
