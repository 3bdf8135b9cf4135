"""check_kdump on SLES, beyond what is broken there one at a time (spoils_suse.py)."""

from collections.abc import Callable

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.spoiling import replace
from tests.ssm_documents.spoils_suse import CONFIGURATION, SPOILS, crash_initrd

Armed = Callable[[str], FakeRoot]
# What another initrd would mount; kdump 1 mounts by path, which tells nothing about the volume.
OTHER_INITRDS = {
    "of-another-volume": ("0a1b2c3d", "99999999"),
    "of-the-root-file-system": ("/kdump/mnt/var/crash", "/kdump/mnt/"),
}


def _findings(root: FakeRoot) -> list[tuple[str, str]]:
    findings = root.run("check_kdump", volumeId=VOLUME_ID).result["findings"]
    return [(finding["code"], finding["observed"]) for finding in findings]


@pytest.mark.parametrize("name", OTHER_INITRDS)
def test_initrd_that_mounts_another_file_system_is_found_and_built_anew(armed: Armed, name: str) -> None:
    sles = armed("sles16")
    replace(sles, crash_initrd(sles), *OTHER_INITRDS[name])
    [(code, observed)] = _findings(sles)
    assert code == "crash-initramfs-stale"
    assert "mounts another file system" in observed
    assert "crash kernel loaded again" in sles.run("configure_kdump").result["changes"]
    assert _findings(sles) == []


def test_finding_shows_every_setting_that_is_wrong(armed: Armed) -> None:
    sles = armed("sles15")
    for name in ("deletes-old-dumps", "deletes-the-new-dump"):
        SPOILS[name][1](sles)
    [(_, observed)] = _findings(sles)
    assert observed.startswith(f"/{CONFIGURATION} has KDUMP_KEEP_OLD_DUMPS=-1 KDUMP_FREE_DISK_SIZE=64")


@pytest.mark.parametrize("name", ["sles15", "sles16"])
def test_reservation_within_kdumptool_s_own_tolerance_is_enough(armed: Armed, name: str) -> None:
    """Its estimate wanders by a few MiB from run to run."""
    sles = armed(name)
    reserved = int(sles.read("sys/kernel/kexec_crash_size")) - (4 << 20)
    for path in ("boot/grub2/grub.cfg", "proc/cmdline"):
        replace(sles, path, f"crashkernel={(reserved >> 20) + 4}M,high", f"crashkernel={reserved >> 20}M,high")
    sles.write("sys/kernel/kexec_crash_size", f"{reserved}\n")
    assert _findings(sles) == []
