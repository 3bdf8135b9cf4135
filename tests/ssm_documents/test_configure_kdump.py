"""kdump on the Debian family: what is changed, what is left alone, what stops it."""

import pytest

from tests.ssm_documents.fake_root import KERNEL, FakeRoot
from tests.ssm_documents.host_states import CONFIGURATION, install_kdump
from tests.ssm_documents.ledger import originals

TABLE = "0-2G:192M,2G-4G:320M,4G-1T:512M,1T-4T:1G,4T-8T:2G,8T-:4G"
DROP_IN = "etc/systemd/system/kdump-tools-dump.service.d/hangdump.conf"
SYSCTL_FILE = "etc/sysctl.d/99-kernel_panic.conf"


# --- the way it goes


def test_fresh_host_needs_a_reboot_and_is_not_rebooted_unasked(root: FakeRoot) -> None:
    result = root.run("configure_kdump").result
    assert result["status"] == "reboot-required"
    assert (result["family"], result["kernel"], result["crashkernel"]) == ("debian", KERNEL, TABLE)
    assert "package kdump-tools" in result["changes"]
    assert f"crashkernel={TABLE}" in root.read("boot/grub/grub.cfg")


def test_asks_for_the_reboot_when_told_to_and_goes_through_after_it(root: FakeRoot) -> None:
    first = root.run("configure_kdump", reboot="true")
    assert (first.exit_code, first.stdout) == (194, "")
    root.reboot()
    assert root.run("configure_kdump", reboot="true").result["status"] == "configured"
    assert root.run("configure_kdump", reboot="true").result == {
        "status": "unchanged",
        "family": "debian",
        "kernel": KERNEL,
        "crashkernel": TABLE,
        "changes": [],
    }


def test_owner_reboots_and_the_next_run_finishes_the_job(root: FakeRoot) -> None:
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    root.reboot()
    assert root.run("configure_kdump").result["status"] == "unchanged"


def test_initrd_of_the_crash_kernel_is_made_before_the_reboot(root: FakeRoot) -> None:
    root.run("configure_kdump")
    root.run("configure_kdump")
    assert root.called("kernel-hook") == [f"kernel-hook {KERNEL}"]
    assert root.read(f"var/lib/kdump/latest_sysctls-{KERNEL}") == root.read("etc/kdump/sysctl.conf")


# --- what it writes


def test_dump_goes_to_the_mount_point_with_collector_and_level(root: FakeRoot) -> None:
    root.run("configure_kdump", mountPoint="/mnt/dumps", coreCollector="makedumpfile -c", dumpLevel="17")
    lines = root.read(CONFIGURATION).splitlines()
    assert 'KDUMP_COREDIR="/mnt/dumps"' in lines
    assert 'MAKEDUMP_ARGS="-c -d 17"' in lines


def test_foreign_lines_survive_and_ours_are_replaced_in_place(root: FakeRoot) -> None:
    install_kdump(root)
    root.run("configure_kdump")
    assert root.read(CONFIGURATION) == (
        '# our settings\nUSE_KDUMP=1\nKDUMP_DUMP_DMESG=3\nKDUMP_COREDIR="/var/crash"\n'
        'MAKEDUMP_ARGS="-l --message-level 7 -d 31"\n'
        'KDUMP_CMDLINE_APPEND="reset_devices systemd.unit=kdump-tools-dump.service nr_cpus=1 irqpoll usbcore.nousb'
        ' panic=10"\n'
    )
    assert "USE_KDUMP=0" in (originals(root)[CONFIGURATION] or "")


def test_dump_waits_for_its_volume_but_does_not_need_it(root: FakeRoot) -> None:
    root.run("configure_kdump", mountPoint="/mnt/dump-volume")
    lines = root.read(DROP_IN).splitlines()
    assert r"Wants=mnt-dump\x2dvolume.mount" in lines
    assert r"After=mnt-dump\x2dvolume.mount" in lines
    assert "RequiresMountsFor" not in root.read(DROP_IN)


def test_power_off_after_the_dump_never_happens_outside_the_crash_kernel(root: FakeRoot) -> None:
    root.run("configure_kdump", finalAction="poweroff")
    lines = root.read(DROP_IN).splitlines()
    start = lines[lines.index("ExecStart=") + 1]
    assert start.index("test -s /proc/vmcore || exec /etc/init.d/kdump-tools start;") < start.index("poweroff -f")


def test_panic_sysctls_are_persistent_and_applied_at_once(root: FakeRoot) -> None:
    root.run("configure_kdump", hung_task_panic="1", kernel_panic="30")
    lines = root.read(SYSCTL_FILE).splitlines()
    assert {"kernel.unknown_nmi_panic = 1", "kernel.panic_on_oops = 1", "kernel.hung_task_panic = 1"} <= set(lines)
    assert {"kernel.panic = 30", "kernel.softlockup_panic = 0"} <= set(lines)
    observed = {key: root.read(f"proc/sys/kernel/{key}") for key in ("unknown_nmi_panic", "hung_task_panic", "panic")}
    assert observed == {"unknown_nmi_panic": "1\n", "hung_task_panic": "1\n", "panic": "30\n"}


def test_what_follows_a_panic_without_a_dump_stays_what_the_owner_set(root: FakeRoot) -> None:
    """Amazon Linux reboots after five seconds; with 0 an instance whose crash kernel fails would hang for ever."""
    root.write("proc/sys/kernel/panic", "5\n")
    root.write(SYSCTL_FILE, "kernel.panic = 5\n")
    root.run("configure_kdump")
    assert root.read("proc/sys/kernel/panic") == "5\n"
    assert [line for line in root.read(SYSCTL_FILE).splitlines() if "kernel.panic " in line] == ["kernel.panic = 5"]


def test_an_upgrade_takes_back_that_a_panic_without_a_dump_halts(root: FakeRoot) -> None:
    root.run("configure_kdump", kernel_panic="0")
    assert "kernel.panic = 0" in root.read(SYSCTL_FILE).splitlines()
    root.run("configure_kdump")
    assert "kernel.panic = 0" not in root.read(SYSCTL_FILE).splitlines()


@pytest.mark.parametrize(
    ("switch", "key", "kernels_own", "least"),
    [
        ("softlockup_panic", "watchdog_thresh", "10", "30"),
        ("hung_task_panic", "hung_task_timeout_secs", "120", "900"),
        ("panic_on_rcu_stall", "max_rcu_stall_to_panic", "0", "3"),
    ],
)
def test_a_detector_that_panics_is_patient(root: FakeRoot, switch: str, key: str, kernels_own: str, least: str) -> None:
    root.write(f"proc/sys/kernel/{key}", f"{kernels_own}\n")
    root.run("configure_kdump")
    assert key not in root.read(SYSCTL_FILE)
    root.run("configure_kdump", **{switch: "1"})
    assert f"kernel.{key} = {least}" in root.read(SYSCTL_FILE).splitlines()
    assert root.read(f"proc/sys/kernel/{key}") == f"{least}\n"
    assert root.run("configure_kdump", **{switch: "1"}).result["changes"] == []
    root.write(f"proc/sys/kernel/{key}", "3600\n")
    root.run("configure_kdump", **{switch: "1"})
    assert f"kernel.{key} = 3600" in root.read(SYSCTL_FILE).splitlines()


WATCHDOG_FILES = (
    "etc/systemd/system/hangdump-watchdog.service",
    "etc/systemd/system.conf.d/hangdump-watchdog.conf",
)


def test_no_watchdog_is_installed_unasked(root: FakeRoot) -> None:
    root.run("configure_kdump")
    assert not any((root.path / each).exists() for each in WATCHDOG_FILES)


def test_a_watchdog_in_the_guest_is_fed_by_systemd_and_never_runs_in_the_crash_kernel(root: FakeRoot) -> None:
    root.run("configure_kdump", guestWatchdog="true")
    unit, manager = (root.read(each).splitlines() for each in WATCHDOG_FILES)
    assert "ExecStart=/sbin/modprobe softdog soft_panic=1" in unit
    assert "ConditionPathExists=!/proc/vmcore" in unit
    assert "RuntimeWatchdogSec=60" in manager
    assert "systemctl daemon-reexec" in root.called("systemctl")
    again = root.run("configure_kdump", guestWatchdog="true")
    assert again.result["changes"] == []


def test_a_watchdog_whose_run_ended_too_early_is_fed_by_the_next_one(root: FakeRoot) -> None:
    root.run("configure_kdump", guestWatchdog="true")
    root.write("units/hangdump-watchdog.service", "disabled\n")
    root.run("configure_kdump", guestWatchdog="true")
    assert root.read("units/hangdump-watchdog.service") == "enabled\n"


def test_a_watchdog_that_is_no_longer_wanted_is_taken_away(root: FakeRoot) -> None:
    root.run("configure_kdump", guestWatchdog="true")
    root.run("configure_kdump")
    assert not any((root.path / each).exists() for each in WATCHDOG_FILES)
    assert root.called("modprobe") == ["modprobe -r softdog"]
    assert root.run("configure_kdump").result["changes"] == []


def test_a_kernel_without_softdog_is_refused_before_anything_is_changed(root: FakeRoot) -> None:
    root.write("lib/modules/without-softdog", "")
    run = root.run("configure_kdump", guestWatchdog="true")
    assert run.error == "InvalidParameter"
    assert "has no module softdog" in run.stdout
    assert not (root.path / SYSCTL_FILE).exists()


def test_a_kernel_without_a_count_of_rcu_stalls_panics_at_the_first(root: FakeRoot) -> None:
    root.run("configure_kdump", panic_on_rcu_stall="1")
    assert "max_rcu_stall_to_panic" not in root.read(SYSCTL_FILE)


def test_panic_on_nmi_is_left_out_on_arm64_whatever_is_wanted(root: FakeRoot) -> None:
    root.write("machine", "aarch64\n")
    (root.path / "proc/sys/kernel/unknown_nmi_panic").unlink()
    assert root.run("configure_kdump", softlockup_panic="1").result["status"] == "reboot-required"
    lines = root.read(SYSCTL_FILE).splitlines()
    assert "kernel.softlockup_panic = 1" in lines
    assert "unknown_nmi_panic" not in "".join(lines)


def test_irqpoll_is_taken_from_the_crash_kernel_on_arm64(root: FakeRoot) -> None:
    root.write("machine", "aarch64\n")
    (root.path / "proc/sys/kernel/unknown_nmi_panic").unlink()
    root.run("configure_kdump")
    expected = (
        'KDUMP_CMDLINE_APPEND="reset_devices systemd.unit=kdump-tools-dump.service nr_cpus=1 usbcore.nousb panic=10"'
    )
    assert expected in root.read(CONFIGURATION).splitlines()
    assert root.run("configure_kdump").result["changes"] == []


def test_irqpoll_that_its_owner_wrote_is_taken_out_of_the_rest_on_arm64(root: FakeRoot) -> None:
    install_kdump(root)
    root.write("machine", "aarch64\n")
    root.write(CONFIGURATION, root.read(CONFIGURATION) + 'KDUMP_CMDLINE_APPEND="irqpoll nr_cpus=2 irqpoll2"\n')
    root.run("configure_kdump", unknown_nmi_panic="0")
    assert (
        'KDUMP_CMDLINE_APPEND="nr_cpus=2 irqpoll2 systemd.unit=kdump-tools-dump.service panic=10"'
        in root.read(CONFIGURATION).splitlines()
    )


def test_sysctl_that_the_kernel_lacks_is_an_error_when_wanted(root: FakeRoot) -> None:
    run = root.run("configure_kdump", panic_on_stackoverflow="1")
    assert run.error == "InvalidParameter"
    assert "kernel.panic_on_stackoverflow" in run.stdout


# --- packages


def test_ubuntu_gets_its_own_package_too(root: FakeRoot) -> None:
    root.write("var/lib/apt/ubuntu-archive", "")
    root.run("configure_kdump")
    assert root.read("var/lib/dpkg/installed").split()[1] == "linux-crashdump"


def test_kdump_without_the_tool_that_makes_its_initrd_gets_it(root: FakeRoot) -> None:
    """Ubuntu 26.04, whose own initrd is made by dracut: kdump-tools' hook makes none without mkinitramfs."""
    install_kdump(root)
    root.write("var/lib/dpkg/installed", "dracut\nkdump-tools\nmakedumpfile\n")
    root.run("configure_kdump", reboot="true")
    assert "initramfs-tools-core" in root.read("var/lib/dpkg/installed").split()
    assert list(root.path.glob("var/lib/kdump/initrd.img-*"))


def test_installs_without_a_question(root: FakeRoot) -> None:
    root.run("configure_kdump")
    assert "kdump-tools kdump-tools/use_kdump boolean true" in root.read("debconf")
    assert all("--force-confold" in call for call in root.called("apt-get"))


def test_old_package_lists_are_updated_once(root: FakeRoot) -> None:
    (root.path / "var/lib/apt/lists").unlink()
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    last = "initramfs-tools-core"
    assert [call.split()[-1] for call in root.called("apt-get")] == [last, "update", last]


def test_waits_while_another_process_holds_the_dpkg_lock(root: FakeRoot) -> None:
    root.write("var/lib/apt/times-locked", "3")
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    assert len(root.called("sleep")) == 3


def test_gives_up_when_the_dpkg_lock_stays_held(root: FakeRoot) -> None:
    root.write("var/lib/apt/times-locked", "100000")
    run = root.run("configure_kdump")
    assert run.error == "PackageUnavailable"
    assert "Could not get lock" in run.stdout


def test_interrupted_dpkg_is_finished_first(root: FakeRoot) -> None:
    root.write("var/lib/apt/interrupted", "")
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    assert root.called("dpkg") == ["dpkg --configure -a"]


def test_package_that_cannot_be_had_is_named(root: FakeRoot) -> None:
    (root.path / "var/lib/apt/lists").unlink()
    root.write("var/lib/apt/unreachable", "")
    run = root.run("configure_kdump")
    assert run.error == "PackageUnavailable"
    assert "Unable to locate package" in run.stdout
