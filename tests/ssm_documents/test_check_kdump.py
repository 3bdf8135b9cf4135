"""The readiness check: an armed host is ready; each thing that is broken is found, and only that."""

import hashlib
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.ssm_documents.fake_root import KERNEL, MIB, VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import host
from tests.ssm_documents.spoiling import add_line, replace
from tests.ssm_documents.spoils import EVERYWHERE, Spoil, install_agent, spoils_of

Armed = Callable[[str], FakeRoot]
# One host for each way in which the readiness is seen: the others differ in what configures them. That each host of
# all is ready when nothing is broken is in test_golden_trees.py.
SEEN_DIFFERENTLY = ("debian12", "rhel7", "amzn2", "amzn2023", "rhel9", "sles15", "sles16")
# The others are of the same family as one of these.
ONE_OF_EACH_FAMILY = ("debian12", "rhel9", "sles16")
SPOILS = [
    pytest.param(
        name,
        spoil,
        marks=[] if name == "debian12" else [pytest.mark.slow if name in ONE_OF_EACH_FAMILY else pytest.mark.nightly],
    )
    for name in SEEN_DIFFERENTLY
    for spoil in spoils_of(host(name).family)
]


def _check(root: FakeRoot, **given: str) -> dict[str, Any]:
    result = root.run("check_kdump", volumeId=VOLUME_ID, **given).result
    for finding in result["findings"]:
        assert set(finding) == {"code", "severity", "observed", "remedy"}
        assert finding["observed"]
        assert finding["remedy"]
    assert result["ready"] is all(finding["severity"] == "note" for finding in result["findings"])
    return result


def _codes(root: FakeRoot, **given: str) -> list[str]:
    return [finding["code"] for finding in _check(root, **given)["findings"]]


@pytest.mark.parametrize(
    ("words", "said"), [("", "no crashkernel="), ("crashkernel=1M crashkernel=2M", "crashkernel=1M crashkernel=2M")]
)
def test_the_command_line_is_quoted_no_further_than_its_crashkernel(
    armed_root: FakeRoot, words: str, said: str
) -> None:
    if not words:
        for entry in armed_root.path.glob(armed_root.host.boot_entries):
            entry.write_text(re.sub("crashkernel=[^ \n]*", "", entry.read_text()))
    armed_root.boot(cmdline=f"ro systemd.setenv=DB_PASSWORD=secret {words}", reserved_mib=0)
    run = armed_root.run("check_kdump", volumeId=VOLUME_ID)
    (finding,) = [each for each in run.result["findings"] if each["code"] == "reservation-missing"]
    assert finding["observed"] == f"no memory is reserved; the kernel was booted with {said}"
    assert "secret" not in run.stdout + run.stderr


def test_reports_what_it_has_seen(armed_root: FakeRoot) -> None:
    result = armed_root.run("check_kdump", volumeId=VOLUME_ID).result
    assert re.fullmatch("[0-9a-f]{16}", result.pop("configId"))
    assert result == {
        "ready": True,
        "findings": [],
        "family": "debian",
        "kernel": KERNEL,
        "bootId": "00000000-0000-4000-8000-000000000001",
        "bootedAt": "2026-11-23T02:13:20Z",
        "crashKernelLoaded": True,
        "crashkernelBytes": 192 * MIB,
        "memoryBytes": 985 * MIB,
        "freeBytes": 7 << 30,
        "expectedDumpBytes": 0,
        "parked": False,
    }


@pytest.mark.parametrize("host_name", ["debian12", "rhel9", "sles16"])
def test_reports_the_configuration_that_each_boot_says_on_the_console(armed: Armed, host_name: str) -> None:
    root = armed(host_name)
    script = (root.path / "etc/hangdump/ready.sh").read_text()
    read_by_boot = re.search(r"\$\(cat (/\S.*) 2>/dev/null \| sha256sum \| cut -c 1-16\)", script)
    assert read_by_boot
    files = [root.path / name.removeprefix("/") for name in read_by_boot[1].split()]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files if file.exists())).hexdigest()
    before = _check(root)["configId"]
    assert before == digest[:16]

    files[0].write_text(files[0].read_text() + "# changed by its owner\n")
    assert _check(root)["configId"] != before


@pytest.mark.parametrize(("host_name", "spoil_name"), SPOILS)
def test_each_fault_is_found_and_only_that(armed: Armed, host_name: str, spoil_name: str) -> None:
    root = armed(host_name)
    spoil: Spoil = spoils_of(root.host.family)[spoil_name]
    spoil.do(root)
    result = _check(root, **spoil.given)
    assert [finding["code"] for finding in result["findings"]] == [spoil.code]
    assert result["ready"] is spoil.is_note


@pytest.mark.parametrize(("level", "codes"), [("31", []), ("1", ["dump-target-too-small"])])
def test_room_needed_depends_on_what_the_dump_leaves_out(armed_root: FakeRoot, level: str, codes: list[str]) -> None:
    replace(armed_root, "etc/default/kdump-tools", "-d 31", f"-d {level}")
    armed_root.write("file-systems", f"/ {8 << 30} {4 << 30}\n/var/crash {8 << 30} {500 * MIB}\n")
    assert _codes(armed_root) == codes


def test_any_volume_is_fine_when_none_is_named(armed_root: FakeRoot) -> None:
    armed_root.write("sys/block/nvme1n1/device/serial", "vol0fffffffffffffffe\n")
    assert armed_root.run("check_kdump").result["ready"] is True


def test_fresh_host_is_not_ready_and_every_reason_is_listed(root: FakeRoot) -> None:
    assert _codes(root) == [
        "reservation-missing",
        "service-disabled",
        "fstab-entry-missing",
        "dump-target-not-mounted",
        "family-configuration-missing",
        "sysctl-not-persistent",
    ]


def test_all_findings_together_fit_into_what_ssm_keeps(armed_root: FakeRoot) -> None:
    together = """nothing-reserved service-disabled not-in-fstab not-mounted notifiers-run-before old-agent drop-in-gone
        kdump-switched-off locked-down addresses-hidden halts-after-the-dump shell-after-a-failed-dump"""
    for name in together.split():
        spoils_of("debian")[name].do(armed_root)
    for key in (armed_root.path / "proc/sys/kernel").iterdir():
        if key.is_file():
            key.write_text("7\n" if "panic" in key.name else key.read_text())
    assert len(armed_root.run("check_kdump", volumeId=VOLUME_ID).stdout) < 24_000


# --- where a finding would be wrong


def test_panic_on_an_oops_that_kdump_tools_itself_switches_on_is_no_finding(armed_root: FakeRoot) -> None:
    assert armed_root.run("configure_kdump", panic_on_oops="0").exit_code == 0
    armed_root.reboot()
    assert armed_root.read("proc/sys/kernel/panic_on_oops") == "1\n"
    assert _codes(armed_root) == []


def test_estimate_that_the_next_boot_meets_asks_for_the_reboot_only(armed_root: FakeRoot) -> None:
    armed_root.write("kdump-config-estimate", "215M\n")
    replace(armed_root, "boot/grub/grub.cfg", "crashkernel=0-2G:192M", "crashkernel=0-2G:256M")
    assert _codes(armed_root) == ["reboot-pending"]


@pytest.mark.parametrize("estimate", ["192M", "Unknown (can't find decompressed initrd size)"])
def test_estimate_that_is_met_or_unknown_is_no_finding(armed_root: FakeRoot, estimate: str) -> None:
    armed_root.write("kdump-config-estimate", estimate + "\n")
    assert _codes(armed_root) == []


@pytest.mark.parametrize("by", ["newer-kexec", "argument", "secure-boot"])
@pytest.mark.parametrize("restriction", ["locked-down", "addresses-hidden"])
def test_kexec_file_load_needs_neither_addresses_nor_an_open_kernel(
    armed_root: FakeRoot, by: str, restriction: str
) -> None:
    spoils_of("debian")[restriction].do(armed_root)
    if by == "newer-kexec":
        armed_root.write("kexec-auto", "")
    elif by == "argument":
        add_line(armed_root, "etc/default/kdump-tools", 'KDUMP_KEXEC_ARGS="-s"')
    else:
        for name, value in (("SecureBoot", b"\x01"), ("SetupMode", b"\x00")):
            variable = armed_root.write(f"sys/firmware/efi/efivars/{name}-8be4df61-93ca-11d2-aa0d-00e098032b8c", "")
            variable.write_bytes(b"\x06\x00\x00\x00" + value)
    assert _codes(armed_root) == []


def test_crash_kernel_that_lockdown_refused_is_one_finding(armed_root: FakeRoot) -> None:
    spoils_of("debian")["locked-down"].do(armed_root)
    armed_root.write("sys/kernel/kexec_crash_loaded", "0\n")
    assert _codes(armed_root) == ["lockdown-refuses-kexec"]


def test_driver_that_the_kernel_has_built_in_need_not_be_in_the_initramfs(armed_root: FakeRoot) -> None:
    spoils_of("debian")["initrd-without-nvme"].do(armed_root)
    armed_root.write(f"lib/modules/{KERNEL}/modules.builtin", "kernel/drivers/nvme/host/nvme.ko\n")
    assert _codes(armed_root) == []


def test_initramfs_that_nothing_can_list_is_no_finding(armed_root: FakeRoot) -> None:
    armed_root.write(f"var/lib/kdump/initrd.img-{KERNEL}", "# unreadable\n")
    assert _codes(armed_root) == []


@pytest.mark.parametrize("name", ["initrd-of-another-kernel", "sysctls-of-the-crash-kernel-changed", "older"])
def test_stale_initramfs_is_made_anew_by_configuring_again(armed_root: FakeRoot, name: str) -> None:
    if name == "older":
        past = armed_root.path / f"var/lib/kdump/initrd.img-{KERNEL}"
        armed_root.write(f"boot/vmlinuz-{KERNEL}", "another build of the same release\n")
        os.utime(past, (1, 1))
    else:
        spoils_of("debian")[name].do(armed_root)
    assert _codes(armed_root) == ["crash-initramfs-stale"]
    assert armed_root.run("configure_kdump").result["changes"] == ["crash kernel loaded again"]
    assert _codes(armed_root) == []
    assert armed_root.run("configure_kdump").result["status"] == "unchanged"


def test_poweroff_is_found_as_what_was_asked_for(armed_root: FakeRoot) -> None:
    assert armed_root.run("configure_kdump", finalAction="poweroff").exit_code == 0
    assert _codes(armed_root, finalAction="poweroff") == []
    assert _codes(armed_root, finalAction="reboot") == ["final-action"]
    assert _codes(armed_root) == []


@pytest.mark.parametrize("version", ["3.3.2746.0", "3.3.10000.0", "3.10.1.0"])
def test_agent_that_knows_environment_variables_is_not_noted(armed_root: FakeRoot, version: str) -> None:
    install_agent(armed_root, version)
    assert _codes(armed_root) == []


def test_source_of_the_second_panic_path_is_named(armed_root: FakeRoot) -> None:
    EVERYWHERE["notifiers-run-before"].do(armed_root)
    setting = "w /sys/module/kernel/parameters/crash_kexec_post_notifiers - - - - Y\n"
    armed_root.write("usr/lib/tmpfiles.d/systemd-pstore.conf", setting)
    (finding,) = _check(armed_root)["findings"]
    assert "set by /usr/lib/tmpfiles.d/systemd-pstore.conf" in finding["observed"]


def test_half_a_dump_is_not_noted(armed_root: FakeRoot) -> None:
    armed_root.write("var/crash/202611230213/dump-incomplete", "KDUMP   ")
    assert _codes(armed_root) == []


def test_panic_on_nmi_is_not_missed_where_the_kernel_knows_none(armed_root: FakeRoot) -> None:
    (armed_root.path / "proc/sys/kernel/unknown_nmi_panic").unlink()
    assert _codes(armed_root) == []


def test_the_dump_volume_is_looked_for_where_it_was_prepared(armed_root: FakeRoot) -> None:
    assert _codes(armed_root, mountPoint="found") == []
    replace(armed_root, "etc/fstab", " /var/crash ", " /dumps ")
    assert "/dumps" in str(_check(armed_root, mountPoint="found")["findings"])


def test_a_host_that_was_never_prepared_is_not_ready_wherever_it_is_looked_for(root: FakeRoot) -> None:
    assert "fstab-entry-missing" in _codes(root, mountPoint="found")


def test_for_a_caller_that_sees_no_report_not_ready_is_a_failure(root: FakeRoot, armed_root: FakeRoot) -> None:
    assert root.run("check_kdump", exitWhenNotReady="false").exit_code == 0
    failed = root.run("check_kdump", exitWhenNotReady="true")
    assert (failed.exit_code, failed.report and failed.report["ready"]) == (1, False)
    assert armed_root.run("check_kdump", exitWhenNotReady="true").exit_code == 0
