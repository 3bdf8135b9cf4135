"""What can be broken on Debian and Ubuntu only, or is broken there in its own way."""

from collections.abc import Callable

from tests.ssm_documents.fake_root import FakeRoot
from tests.ssm_documents.spoiling import add_line, replace

CONFIGURATION = "etc/default/kdump-tools"
DROP_INS = "etc/systemd/system/kdump-tools-dump.service.d"


def _link_initrd_of_another_kernel(root: FakeRoot) -> None:
    older = root.path / "var/lib/kdump/initrd.img-6.1.0-28-cloud-amd64"
    older.write_bytes((root.path / f"var/lib/kdump/initrd.img-{root.host.kernel}").read_bytes())
    link = root.path / "var/lib/kdump/initrd.img"
    link.unlink()
    link.symlink_to("/var/lib/kdump/initrd.img-6.1.0-28-cloud-amd64")


def _lock_down(root: FakeRoot) -> None:
    root.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")


def _take_memory_in_the_crash_kernel(root: FakeRoot) -> None:
    root.write("etc/sysctl.d/90-database.conf", "vm.nr_hugepages=2048\n")
    (root.path / "etc/systemd/system/systemd-sysctl.service.d/hangdump.conf").unlink()


def _park(root: FakeRoot) -> None:
    assert root.run("park_dump_volume").result["status"] == "parked"


def _remove_the_wait_of_a_parked_volume(root: FakeRoot) -> None:
    _park(root)
    (root.path / "etc/systemd/system/hangdump-wait.service").unlink()


def _mount_a_parked_volume_at_boot(root: FakeRoot) -> None:
    _park(root)
    replace(root, "etc/fstab", ",noauto,", ",")


SPOILS: dict[str, tuple[str, Callable[[FakeRoot], object]]] = {
    "estimate-grew": ("reservation-too-small", lambda root: root.write("kdump-config-estimate", "215M\n")),
    "parked-without-its-wait": ("parking-broken", _remove_the_wait_of_a_parked_volume),
    "parked-but-mounted-at-boot": ("parking-broken", _mount_a_parked_volume_at_boot),
    "initrd-of-another-kernel": ("crash-initramfs-stale", _link_initrd_of_another_kernel),
    "sysctls-of-the-crash-kernel-changed": (
        "crash-initramfs-stale",
        lambda root: add_line(root, "etc/kdump/sysctl.conf", "vm.swappiness=0"),
    ),
    "initrd-without-nvme": ("crash-initramfs-lacks-nvme", lambda root: root.take_nvme_from_the_crash_kernel()),
    "locked-down": ("lockdown-refuses-kexec", _lock_down),
    "addresses-hidden": ("kptr-restricted", lambda root: root.write("proc/sys/kernel/kptr_restrict", "2\n")),
    "halts-after-the-dump": (
        "final-action",
        lambda root: root.write(
            f"{DROP_INS}/zz-owner.conf",
            "[Service]\nExecStart=\nExecStart=/bin/sh -c 'kdump-config savecore; halt -f'\n",
        ),
    ),
    "shell-after-a-failed-dump": (
        "failure-action",
        lambda root: add_line(
            root, CONFIGURATION, "KDUMP_FAIL_CMD=\"echo 'makedumpfile FAILED.'; /bin/bash; reboot -f\""
        ),
    ),
    "no-reboot-after-a-failed-dump": (
        "failure-action",
        lambda root: add_line(root, CONFIGURATION, 'KDUMP_FAIL_CMD="sync; reboot -f"'),
    ),
    "kernel-pinned": (
        "crash-initramfs-stale",
        lambda root: replace(
            root,
            CONFIGURATION,
            "KDUMP_KERNEL=/var/lib/kdump/vmlinuz",
            "KDUMP_KERNEL=/boot/vmlinuz-6.1.0-28-cloud-amd64",
        ),
    ),
    "compressed-as-a-whole": (
        "family-configuration-missing",
        lambda root: add_line(root, CONFIGURATION, "KDUMP_COMPRESSION=gzip # saves room"),
    ),
    "dumps-deleted": (
        "family-configuration-missing",
        lambda root: add_line(root, CONFIGURATION, "KDUMP_NUM_DUMPS=2"),
    ),
    "dump-before-the-volume": (
        "family-configuration-missing",
        lambda root: replace(root, CONFIGURATION, "systemd.unit=kdump-tools-dump.service ", ""),
    ),
    "dumps-to-a-server": (
        "family-configuration-missing",
        lambda root: add_line(root, CONFIGURATION, 'export NFS="server:/dumps"'),
    ),
    "dump-unit-masked": ("service-disabled", lambda root: root.set_unit("kdump-tools-dump.service", "masked")),
    "memory-taken-by-sysctl-d": ("drop-in-missing", _take_memory_in_the_crash_kernel),
    "drop-in-gone": ("drop-in-missing", lambda root: (root.path / DROP_INS / "hangdump.conf").unlink()),
    "kdump-switched-off": (
        "family-configuration-missing",
        lambda root: replace(root, CONFIGURATION, "USE_KDUMP=1", "USE_KDUMP=0"),
    ),
    "dumps-elsewhere": (
        "family-configuration-missing",
        lambda root: replace(root, CONFIGURATION, "/var/crash", "/srv"),
    ),
    "dumps-where-apport-removes-them": (
        "dump-removed-by-cron",
        lambda root: root.write("etc/cron.daily/apport", "find /var/crash -mtime +7 -exec rm -rf\n"),
    ),
    "package-removed": ("family-configuration-missing", lambda root: root.remove_kdump_package()),
}
