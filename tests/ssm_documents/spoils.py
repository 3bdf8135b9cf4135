"""Ways to break a host that is ready to dump, one at a time, and the one finding that check_kdump must name."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.ssm_documents import spoils_debian, spoils_redhat, spoils_suse
from tests.ssm_documents.fake_root import FakeRoot
from tests.ssm_documents.spoiling import replace


@dataclass(frozen=True)
class Spoil:
    """What is done to the host, and the code that is found; `given` are parameters of the check."""

    code: str
    do: Callable[[FakeRoot], object] = lambda root: None
    is_note: bool = False
    given: dict[str, str] = field(default_factory=dict)


def _forget_reservation(root: FakeRoot) -> None:
    # EL8 keeps what all entries have in common in grubenv.
    for entry in (*root.path.glob(root.host.boot_entries), *root.path.glob("boot/grub2/grubenv")):
        entry.write_text(entry.read_text().replace("crashkernel=", "crash="))


def _shrink_reservation_of_the_next_boot(root: FakeRoot) -> None:
    for entry in (*root.path.glob(root.host.boot_entries), *root.path.glob("boot/grub2/grubenv")):
        entry.write_text(re.sub(r"crashkernel=[^ \n]*", "crashkernel=64m", entry.read_text()))


def _add_entry_without_reservation(root: FakeRoot) -> None:
    """Of an older kernel, which boots when somebody chooses it."""
    entries = sorted(root.path.glob(root.host.boot_entries))
    if entries[0].name.endswith(".conf"):
        text = re.sub(r"(crashkernel=\S*|\$kernelopts)", "", entries[0].read_text())
        entries[0].with_name("0123456789abcdef0123456789abcdef-1.0.conf").write_text(text)
    else:
        with entries[0].open("a") as file:
            file.write("menuentry 'by hand' {\n\tlinux /boot/vmlinuz-1.0 root=LABEL=root ro console=ttyS0\n}\n")


def _renew_kernel(root: FakeRoot) -> None:
    kernel = root.write(f"boot/vmlinuz-{root.host.kernel}", "another build of the same release\n")
    os.utime(kernel, (time.time() + 3600,) * 2)


def install_agent(root: FakeRoot, version: str, path: str = "usr/sbin/amazon-ssm-agent") -> None:
    """An agent that says its version as the real one does."""
    root.write(path, f"#!/bin/sh\n[ $1 = -version ] && echo 'SSM Agent version: {version}'\n").chmod(0o755)


def _comment_out_of_fstab(root: FakeRoot) -> None:
    root.write("etc/fstab", re.sub("(?m)^UUID=.* /var/crash ", r"# \g<0>", root.read("etc/fstab")))


def _leave_dump(root: FakeRoot) -> None:
    root.write("var/crash/202611230213/dump.202611230213", "KDUMP   " + 100 * "x")


def _switch_off_a_detector_that_panics(root: FakeRoot) -> None:
    replace(root, "etc/sysctl.d/99-kernel_panic.conf", "softlockup_panic = 0", "softlockup_panic = 1")
    root.write("proc/sys/kernel/softlockup_panic", "1\n")
    root.write("proc/sys/kernel/soft_watchdog", "0\n")


def run_kernel(root: FakeRoot, release: str) -> None:
    """As if the host had run that kernel all along: each file that is named after the old one, and links to them."""
    old = root.host.kernel
    folders = [root.path / folder for folder in ("boot", "lib/modules", "usr/lib/modules", "var/lib/kdump")]
    # One after the other: /lib may be a link to /usr/lib.
    for folder in folders:
        for path in sorted(folder.rglob(f"*{old}*"), reverse=True):
            path.rename(path.with_name(path.name.replace(old, release)))
    links = [path for folder in (folders[0], folders[-1]) for path in folder.rglob("*") if path.is_symlink()]
    for link in (path for path in links if old in str(path.readlink())):
        target = str(link.readlink())
        link.unlink()
        link.symlink_to(target.replace(old, release))
    root.write("proc/sys/kernel/osrelease", f"{release}\n")


def _run_a_newer_kernel(root: FakeRoot) -> None:
    run_kernel(root, "6.12.9-default")
    root.write("makedumpfile-version", "1.7.6\n")


def _run_on_arm64(root: FakeRoot, symbols: str) -> None:
    """With the kernel symbols that it lists."""
    root.write("machine", "aarch64\n")
    (root.path / "proc/sys/kernel/unknown_nmi_panic").unlink(missing_ok=True)
    # configure_kdump takes it out on arm64.
    for configuration in root.path.glob("etc/default/kdump-tools"):
        configuration.write_text(configuration.read_text().replace(" irqpoll", ""))
    root.write("proc/kallsyms", symbols)
    root.write("proc/kcore", "")
    root.install("makedumpfile")


def _list_no_text(root: FakeRoot) -> None:
    # As of Debian 12: neither all symbols nor kexec_file_load.
    _run_on_arm64(root, "")
    # As every file of a real /proc, it has a size of 0, whatever it holds.
    kallsyms = root.path / "proc/kallsyms"
    kallsyms.unlink()
    kallsyms.symlink_to("/proc/version")
    root.write(f"boot/config-{root.host.kernel}", "CONFIG_KEXEC=y\n# CONFIG_KEXEC_FILE is not set\n")


def _have_addresses_that_makedumpfile_does_not_know(root: FakeRoot) -> None:
    _run_on_arm64(root, "ffff800080000000 T _text\n")
    root.write(
        "makedumpfile-says",
        "The kernel version is not supported.\nThe makedumpfile operation may be incomplete.\n"
        "vaddr_to_paddr_arm64: Can't get a valid pgd.\n\nmakedumpfile Failed.\n",
    )


def _disable_kexec_before_loading(root: FakeRoot) -> None:
    root.write("proc/sys/kernel/kexec_load_disabled", "1\n")
    root.write("sys/kernel/kexec_crash_loaded", "0\n")


EVERYWHERE: dict[str, Spoil] = {
    "nothing-reserved": Spoil(
        "reservation-missing", lambda root: root.boot(cmdline="ro crashkernel=192M", reserved_mib=0)
    ),
    "not-reserved-after-the-next-boot": Spoil("reservation-missing", _forget_reservation),
    "less-reserved-after-the-next-boot": Spoil("reservation-too-small", _shrink_reservation_of_the_next_boot),
    "not-rebooted-yet": Spoil("reboot-pending", lambda root: root.boot(cmdline="ro quiet", reserved_mib=0)),
    "entry-without-reservation": Spoil("boot-entry-unreserved", _add_entry_without_reservation, is_note=True),
    "not-loaded": Spoil("crash-kernel-not-loaded", lambda root: root.write("sys/kernel/kexec_crash_loaded", "0\n")),
    "initramfs-older-than-its-kernel": Spoil("crash-initramfs-stale", _renew_kernel),
    "service-masked": Spoil("service-disabled", lambda root: root.set_unit(root.host.service, "masked")),
    "no-crash-kernel-may-be-loaded": Spoil(
        "kexec-load-disabled",
        lambda root: root.write("etc/sysctl.d/60-hardening.conf", "kernel.kexec_load_disabled = 1\n"),
    ),
    "no-crash-kernel-may-be-loaded-now": Spoil("kexec-load-disabled", _disable_kexec_before_loading),
    "no-other-crash-kernel-may-be-loaded": Spoil(
        "kexec-load-disabled", lambda root: root.write("proc/sys/kernel/kexec_load_disabled", "1\n"), is_note=True
    ),
    "arm64-without-the-symbol-that-kexec-needs": Spoil("kernel-symbol-missing", _list_no_text),
    "arm64-with-addresses-of-52-bits": Spoil(
        "makedumpfile-cannot-read", _have_addresses_that_makedumpfile_does_not_know
    ),
    "service-disabled": Spoil("service-disabled", lambda root: root.set_unit(root.host.service, "disabled")),
    "not-in-fstab": Spoil("fstab-entry-missing", _comment_out_of_fstab),
    "not-mounted": Spoil("dump-target-not-mounted", lambda root: root.unmount_dump_volume()),
    "another-volume": Spoil(
        "dump-target-wrong-volume",
        lambda root: root.write("sys/block/nvme1n1/device/serial", "vol0fffffffffffffffe\n"),
    ),
    "made-anew-by-its-owner": Spoil("dump-target-wrong-uuid", lambda root: root.give_dump_volume_another_uuid()),
    "mounted-read-only": Spoil("dump-target-not-writable", lambda root: root.mount_read_only(whole_file_system=False)),
    "file-system-turned-read-only": Spoil(
        "dump-target-not-writable", lambda root: root.mount_read_only(whole_file_system=True)
    ),
    "nearly-full": Spoil("dump-target-too-small", lambda root: root.leave_free(200)),
    "sysctl-off": Spoil("sysctl-off", lambda root: root.write("proc/sys/kernel/unknown_nmi_panic", "0\n")),
    "sysctl-file-gone": Spoil(
        "sysctl-not-persistent", lambda root: (root.path / "etc/sysctl.d/99-kernel_panic.conf").unlink()
    ),
    "sysctl-overridden-later": Spoil(
        "sysctl-not-persistent",
        lambda root: root.write("etc/sysctl.d/99-sysctl.conf", "kernel.unknown_nmi_panic=0\n"),
    ),
    "sysctl-overridden-later-if-it-can-be": Spoil(
        "sysctl-not-persistent",
        lambda root: root.write("etc/sysctl.d/99-sysctl.conf", "-kernel.unknown_nmi_panic = 0\n"),
    ),
    "sysctl-overridden-by-a-local-file": Spoil(
        "sysctl-not-persistent",
        lambda root: root.write("usr/local/lib/sysctl.d/zz.conf", "kernel/unknown_nmi_panic=0\n"),
    ),
    "detector-of-a-trigger-off": Spoil("detector-off", _switch_off_a_detector_that_panics),
    "soft-lockups-undetected": Spoil(
        "detector-off", lambda root: root.write("proc/sys/kernel/soft_watchdog", "0\n"), is_note=True
    ),
    "hung-tasks-undetected": Spoil(
        "detector-off", lambda root: root.write("proc/sys/kernel/hung_task_timeout_secs", "0\n"), is_note=True
    ),
    "rcu-stalls-undetected": Spoil(
        "detector-off",
        lambda root: root.write("sys/module/rcupdate/parameters/rcu_cpu_stall_suppress", "1\n"),
        is_note=True,
    ),
    "watchdog-not-active": Spoil(
        "detector-off", lambda root: root.write("etc/systemd/system/hangdump-watchdog.service", "[Unit]\n")
    ),
    "not-what-was-asked-for": Spoil("final-action", given={"finalAction": "poweroff"}),
    "notifiers-run-before": Spoil(
        "second-panic-path",
        lambda root: root.write("sys/module/kernel/parameters/crash_kexec_post_notifiers", "Y\n"),
    ),
    "makedumpfile-older-than-the-kernel": Spoil("makedumpfile-too-old", _run_a_newer_kernel, is_note=True),
    "old-agent": Spoil("agent-too-old", lambda root: install_agent(root, "3.3.1611.0"), is_note=True),
    "old-agent-of-the-snap": Spoil(
        "agent-too-old",
        lambda root: install_agent(root, "3.2.2303.0", "snap/amazon-ssm-agent/current/amazon-ssm-agent"),
        is_note=True,
    ),
    "dump-without-a-byte": Spoil(
        "last-dump-failed", lambda root: root.write("var/crash/202611230213/dump.202611230213", "")
    ),
    "dump-left": Spoil("uncollected-dump", _leave_dump, is_note=True),
}

NOTES_OF_FAMILY = {"dump-removed-by-cron"}

# What is done differently in each family; code → ways.
OF_FAMILY: dict[str, dict[str, tuple[str, Callable[[FakeRoot], object]]]] = {
    "debian": spoils_debian.SPOILS,
    "redhat": spoils_redhat.SPOILS,
    "suse": spoils_suse.SPOILS,
}


def spoils_of(family: str) -> dict[str, Spoil]:
    """Every way for a host of that family."""
    own = {
        name: Spoil(code, do, is_note=code in NOTES_OF_FAMILY) for name, (code, do) in OF_FAMILY.get(family, {}).items()
    }
    return EVERYWHERE | own
