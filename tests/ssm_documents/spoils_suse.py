"""What can be broken on SLES only, or is broken there in its own way."""

import os
import re
import time
from collections.abc import Callable

from tests.ssm_documents.fake_root import FakeRoot
from tests.ssm_documents.spoiling import replace

CONFIGURATION = "etc/sysconfig/kdump"
DROP_IN = "etc/systemd/system/kdump.service.d/hangdump.conf"


def crash_initrd(root: FakeRoot) -> str:
    """The initrd that mkdumprd makes; kdump 1 has it in /boot."""
    return "var/lib/kdump/initrd" if root.host.name == "sles16" else f"boot/initrd-{root.host.kernel}-kdump"


def _set(key: str, value: str) -> Callable[[FakeRoot], object]:
    """As its owner would: the setting, and the initrd made anew."""

    def change(root: FakeRoot) -> None:
        text, count = re.subn(rf"^{key}=.*$", f"{key}={value}", root.read(CONFIGURATION), flags=re.MULTILINE)
        assert count == 1
        root.write(CONFIGURATION, text)
        root.command("mkdumprd", "-f")

    return change


def _touch_configuration(root: FakeRoot) -> None:
    os.utime(root.path / CONFIGURATION, (time.time() + 3600,) * 2)


def _shrink_reservation(root: FakeRoot) -> None:
    for path in ("boot/grub2/grub.cfg", "proc/cmdline"):
        root.write(path, re.sub(r"crashkernel=\d+M", "crashkernel=160M", root.read(path)))
    root.write("sys/kernel/kexec_crash_size", f"{160 << 20}\n")


def _lock_down(root: FakeRoot) -> None:
    _set("KEXEC_OPTIONS", '"-c"')(root)
    root.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")


def _hide_addresses(root: FakeRoot) -> None:
    _set("KEXEC_OPTIONS", '"-c"')(root)
    root.write("proc/sys/kernel/kptr_restrict", "2\n")


SPOILS: dict[str, tuple[str, Callable[[FakeRoot], object]]] = {
    "reservation-below-what-kdumptool-reckons": ("reservation-too-small", _shrink_reservation),
    "initrd-older-than-its-configuration": ("crash-initramfs-stale", _touch_configuration),
    "initrd-without-nvme": (
        "crash-initramfs-lacks-nvme",
        lambda root: replace(root, crash_initrd(root), "nvme.ko.zst", "ahci.ko.zst"),
    ),
    "locked-down": ("lockdown-refuses-kexec", _lock_down),
    "addresses-hidden": ("kptr-restricted", _hide_addresses),
    "shell-after-the-dump": ("final-action", _set("KDUMP_IMMEDIATE_REBOOT", '"no"')),
    "shell-after-a-failed-dump": ("failure-action", _set("KDUMP_CONTINUE_ON_ERROR", '"false"')),
    "drop-in-gone": ("drop-in-missing", lambda root: (root.path / DROP_IN).unlink()),
    "saves-elsewhere": ("family-configuration-missing", _set("KDUMP_SAVEDIR", '"nfs://server/crash"')),
    "saves-in-its-own-way": ("family-configuration-missing", _set("KDUMP_TRANSFER", '"/root/send"')),
    "deletes-old-dumps": ("family-configuration-missing", _set("KDUMP_KEEP_OLD_DUMPS", "-1")),
    "deletes-the-new-dump": ("family-configuration-missing", _set("KDUMP_FREE_DISK_SIZE", "64")),
    "saves-no-vmcore": ("family-configuration-missing", _set("KDUMP_DUMPFORMAT", '"none"')),
    "package-removed": (
        "family-configuration-missing",
        lambda root: root.write("var/lib/rpm/installed", "dracut\n"),
    ),
}
