"""The readiness check: an armed host is ready; each thing that is broken is found, and only that."""

from collections.abc import Callable

import pytest

from tests.ssm_documents.fake_root import KERNEL, MIB, VOLUME_ID, FakeRoot

Spoil = Callable[[FakeRoot], object]


def _codes(root: FakeRoot) -> list[str]:
    result = root.run("check_kdump", volumeId=VOLUME_ID).result
    assert result["ready"] is (not result["findings"])
    for finding in result["findings"]:
        assert finding["observed"]
        assert finding["remedy"]
    return [finding["code"] for finding in result["findings"]]


def _replace(root: FakeRoot, path: str, old: str, new: str) -> None:
    text = root.read(path)
    assert old in text
    root.write(path, text.replace(old, new))


def test_armed_host_is_ready(armed_root: FakeRoot) -> None:
    assert armed_root.run("check_kdump", volumeId=VOLUME_ID).result == {
        "ready": True,
        "findings": [],
        "family": "debian",
        "kernel": KERNEL,
        "bootId": "00000000-0000-4000-8000-000000000001",
        "bootedAt": "2026-11-23T02:13:20Z",
        "crashkernelBytes": 192 * MIB,
        "memoryBytes": 985 * MIB,
        "freeBytes": 7 << 30,
    }


def test_changes_nothing(armed_root: FakeRoot) -> None:
    before = armed_root.tree()
    armed_root.run("check_kdump", volumeId=VOLUME_ID)
    assert armed_root.tree() == before


SPOILS: dict[str, tuple[Spoil, str]] = {
    "nothing-reserved": (
        lambda root: root.boot(cmdline="ro crashkernel=192M", reserved_mib=0),
        "reservation-missing",
    ),
    "not-reserved-after-the-next-boot": (
        lambda root: _replace(root, "boot/grub/grub.cfg", "crashkernel=", "crash="),
        "reservation-missing",
    ),
    "not-rebooted-yet": (lambda root: root.boot(cmdline="ro quiet", reserved_mib=0), "reboot-pending"),
    "not-loaded": (lambda root: root.write("sys/kernel/kexec_crash_loaded", "0\n"), "crash-kernel-not-loaded"),
    "not-mounted": (lambda root: root.write("proc/self/mountinfo", ""), "dump-target-not-mounted"),
    "another-volume": (
        lambda root: root.write("sys/block/nvme1n1/device/serial", "vol0fffffffffffffffe\n"),
        "dump-target-wrong-volume",
    ),
    "mounted-read-only": (
        lambda root: _replace(root, "proc/self/mountinfo", "/var/crash rw,", "/var/crash ro,"),
        "dump-target-not-writable",
    ),
    "file-system-turned-read-only": (
        lambda root: _replace(root, "proc/self/mountinfo", "/dev/nvme1n1p1 rw", "/dev/nvme1n1p1 ro"),
        "dump-target-not-writable",
    ),
    "nearly-full": (
        lambda root: root.write("file-systems", f"/ {8 << 30} {4 << 30}\n/var/crash {8 << 30} {200 * MIB}\n"),
        "dump-target-too-small",
    ),
    "not-in-fstab": (lambda root: root.write("etc/fstab", "# UUID=x /var/crash xfs\n"), "fstab-entry-missing"),
    "sysctl-off": (lambda root: root.write("proc/sys/kernel/unknown_nmi_panic", "0\n"), "sysctl-off"),
    "sysctl-file-gone": (
        lambda root: (root.path / "etc/sysctl.d/99-kernel_panic.conf").unlink(),
        "sysctl-not-persistent",
    ),
    "sysctl-overridden-later": (
        lambda root: root.write("etc/sysctl.d/99-sysctl.conf", "kernel.unknown_nmi_panic=0\n"),
        "sysctl-not-persistent",
    ),
    "service-disabled": (lambda root: root.write("units/kdump-tools.service", "disabled\n"), "service-disabled"),
    "drop-in-gone": (
        lambda root: (root.path / "etc/systemd/system/kdump-tools-dump.service.d/hangdump.conf").unlink(),
        "drop-in-missing",
    ),
    "kdump-switched-off": (
        lambda root: _replace(root, "etc/default/kdump-tools", "USE_KDUMP=1", "USE_KDUMP=0"),
        "family-configuration-missing",
    ),
    "dumps-elsewhere": (
        lambda root: _replace(root, "etc/default/kdump-tools", "/var/crash", "/srv"),
        "family-configuration-missing",
    ),
    "package-removed": (lambda root: root.write("var/lib/dpkg/installed", ""), "family-configuration-missing"),
}


@pytest.mark.parametrize("name", SPOILS)
def test_each_fault_is_found_and_only_that(armed_root: FakeRoot, name: str) -> None:
    spoil, code = SPOILS[name]
    spoil(armed_root)
    assert _codes(armed_root) == [code]


@pytest.mark.parametrize(("level", "codes"), [("31", []), ("1", ["dump-target-too-small"])])
def test_room_needed_depends_on_what_the_dump_leaves_out(armed_root: FakeRoot, level: str, codes: list[str]) -> None:
    _replace(armed_root, "etc/default/kdump-tools", "-d 31", f"-d {level}")
    armed_root.write("file-systems", f"/ {8 << 30} {4 << 30}\n/var/crash {8 << 30} {500 * MIB}\n")
    assert _codes(armed_root) == codes


def test_any_volume_is_fine_when_none_is_named(armed_root: FakeRoot) -> None:
    armed_root.write("sys/block/nvme1n1/device/serial", "vol0fffffffffffffffe\n")
    assert armed_root.run("check_kdump").result["ready"] is True


def test_fresh_host_is_not_ready_and_every_reason_is_listed(root: FakeRoot) -> None:
    codes = _codes(root)
    assert codes == [
        "reservation-missing",
        "service-disabled",
        "fstab-entry-missing",
        "dump-target-not-mounted",
        "sysctl-not-persistent",
        "family-configuration-missing",
    ]


def test_all_findings_together_fit_into_what_ssm_keeps(armed_root: FakeRoot) -> None:
    for name in ("nothing-reserved", "not-in-fstab", "not-mounted", "service-disabled", "drop-in-gone"):
        SPOILS[name][0](armed_root)
    for key in (armed_root.path / "proc/sys/kernel").iterdir():
        if key.is_file():
            key.write_text("7\n" if "panic" in key.name else key.read_text())
    assert len(armed_root.run("check_kdump", volumeId=VOLUME_ID).stdout) < 24_000
