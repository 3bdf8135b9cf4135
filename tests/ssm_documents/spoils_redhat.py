"""What can be broken on the RHEL-like family only, or is broken there in its own way."""

import os
import time
from collections.abc import Callable

from tests.ssm_documents.fake_root import FakeRoot
from tests.ssm_documents.spoiling import add_line, drop_lines, replace

CONFIGURATION = "etc/kdump.conf"
SYSCONFIG = "etc/sysconfig/kdump"
DROP_IN = "etc/systemd/system/kdump.service.d/hangdump.conf"


def crash_initrd(root: FakeRoot) -> str:
    """The initramfs that kdumpctl makes."""
    return f"boot/initramfs-{root.host.kernel}kdump.img"


def _touch_configuration(root: FakeRoot) -> None:
    os.utime(root.path / CONFIGURATION, (time.time() + 3600,) * 2)


def _configured(root: FakeRoot, option: str, line: str) -> None:
    """As its owner would: the line, and the initramfs made anew."""
    lines = [text for text in root.read(CONFIGURATION).splitlines() if text.split(" ")[0] != option]
    root.write(CONFIGURATION, "\n".join([*lines, line]) + "\n")
    _renew_initrd(root)


def _renew_initrd(root: FakeRoot) -> None:
    os.utime(root.path / crash_initrd(root), (time.time() + 3600,) * 2)


def _use_kexec_load(root: FakeRoot) -> None:
    root.write(SYSCONFIG, root.read(SYSCONFIG).replace('KEXEC_ARGS="-s"', 'KEXEC_ARGS=""'))


def _lock_down(root: FakeRoot) -> None:
    _use_kexec_load(root)
    root.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")


def _hide_addresses(root: FakeRoot) -> None:
    _use_kexec_load(root)
    root.write("proc/sys/kernel/kptr_restrict", "2\n")


def _failure_option(root: FakeRoot) -> str:
    return "failure_action" if "failure_action" in root.read("usr/sbin/kdumpctl") else "default"


SPOILS: dict[str, tuple[str, Callable[[FakeRoot], object]]] = {
    "initramfs-older-than-kdump-conf": ("crash-initramfs-stale", _touch_configuration),
    "initramfs-without-nvme": (
        "crash-initramfs-lacks-nvme",
        lambda root: replace(root, crash_initrd(root), "modules: nvme xfs", "modules: xfs ena"),
    ),
    "locked-down": ("lockdown-refuses-kexec", _lock_down),
    "addresses-hidden": ("kptr-restricted", _hide_addresses),
    "halts-after-the-dump": ("final-action", lambda root: _configured(root, "final_action", "final_action halt")),
    "shell-after-a-failed-dump": (
        "failure-action",
        lambda root: _configured(root, _failure_option(root), f"{_failure_option(root)} shell"),
    ),
    "drop-in-gone": ("drop-in-missing", lambda root: (root.path / DROP_IN).unlink()),
    "no-target": ("family-configuration-missing", lambda root: drop_lines(root, CONFIGURATION, "xfs UUID=0a1b2c3d")),
    "second-target": ("family-configuration-missing", lambda root: add_line(root, CONFIGURATION, "nfs server:/crash")),
    "another-path": (
        "family-configuration-missing",
        lambda root: replace(root, CONFIGURATION, "path /\n", "path /var/crash\n"),
    ),
    "another-file-system": (
        "family-configuration-missing",
        lambda root: replace(root, CONFIGURATION, "xfs UUID=0a1b2c3d", "ext4 UUID=0a1b2c3d"),
    ),
    "package-removed": (
        "family-configuration-missing",
        lambda root: (root.path / "usr/sbin/kdumpctl").unlink(),
    ),
}
