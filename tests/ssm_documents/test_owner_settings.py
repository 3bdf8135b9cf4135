"""Settings of the owner that defeat ours: refused or found by name before the crash, with a remedy that works."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ssm_documents.dumps import put
from tests.ssm_documents.fake_root import KERNEL, VOLUME_ID, FakeRoot
from tests.ssm_documents.host_states import CONFIGURATION, install_kdump
from tests.ssm_documents.ledger import originals
from tests.ssm_documents.ready_host import prepared_copy
from tests.ssm_documents.spoiling import add_line, replace
from tests.ssm_documents.spoils import spoils_of

Armed = Callable[[str], FakeRoot]
OURS = "etc/sysctl.d/99-kernel_panic.conf"


def _findings(root: FakeRoot, **given: str) -> list[dict[str, str]]:
    findings: list[dict[str, str]] = root.run("check_kdump", volumeId=VOLUME_ID, **given).result["findings"]
    return findings


# --- a masked unit


@pytest.mark.parametrize("state", ["masked", "masked-runtime"])
@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("debian12", "kdump-tools.service"),
        ("debian12", "kdump-tools-dump.service"),
        ("rhel9", "kdump.service"),
        ("sles16", "kdump.service"),
    ],
)
def test_masked_unit_is_refused_before_anything_is_changed(tmp_path: Path, name: str, unit: str, state: str) -> None:
    root = prepared_copy(name, tmp_path / "root")
    root.write(f"units/{unit}", f"{state}\n")
    before = root.tree()
    run = root.run("configure_kdump", reboot="true")
    assert run.error == "ConfigurationFailed"
    assert f"systemctl unmask {unit}" in run.stdout
    assert root.tree() == before


def test_masked_service_is_unmasked_by_the_remedy_not_enabled(armed: Armed) -> None:
    root = armed("rhel9")
    root.write("units/kdump.service", "masked\n")
    (finding,) = _findings(root)
    assert finding["code"] == "service-disabled"
    assert finding["remedy"].startswith("systemctl unmask kdump.service")
    assert "systemctl enable" not in finding["remedy"]


# --- no crash kernel may be loaded


def test_forbidden_loading_is_refused_before_the_reboot_with_the_file_that_forbids_it(root: FakeRoot) -> None:
    root.write("proc/sys/kernel/kexec_load_disabled", "1\n")
    root.write("usr/local/lib/sysctl.d/60-cis.conf", "# level 2\n-kernel/kexec_load_disabled = 1\n")
    before = root.tree()
    run = root.run("configure_kdump", reboot="true")
    assert run.error == "ConfigurationFailed"
    assert "/usr/local/lib/sysctl.d/60-cis.conf" in run.stdout
    assert root.tree() == before


def test_loading_that_is_forbidden_after_it_was_done_is_no_obstacle(armed_root: FakeRoot) -> None:
    armed_root.write("proc/sys/kernel/kexec_load_disabled", "1\n")
    assert armed_root.run("configure_kdump").result["status"] == "unchanged"


def test_file_that_forbids_loading_is_named(armed_root: FakeRoot) -> None:
    spoils_of("debian")["no-crash-kernel-may-be-loaded"].do(armed_root)
    spoils_of("debian")["no-crash-kernel-may-be-loaded-now"].do(armed_root)
    (finding,) = _findings(armed_root)
    assert finding["code"] == "kexec-load-disabled"
    assert "/etc/sysctl.d/60-hardening.conf" in finding["observed"]
    assert "/etc/sysctl.d/60-hardening.conf" in finding["remedy"]


def test_file_that_its_owner_hid_by_one_of_the_same_name_does_not_count(armed_root: FakeRoot) -> None:
    armed_root.write("usr/lib/sysctl.d/60-hardening.conf", "kernel.kexec_load_disabled = 1\n")
    (armed_root.path / "etc/sysctl.d/60-hardening.conf").symlink_to("/dev/null")
    assert _findings(armed_root) == []


# --- sysctl.d


@pytest.mark.parametrize(
    "line", ["kernel.unknown_nmi_panic=0", "-kernel.unknown_nmi_panic = 0", " kernel/unknown_nmi_panic =0"]
)
@pytest.mark.parametrize("directory", ["etc", "run", "usr/local/lib", "usr/lib", "lib"])
def test_later_file_that_switches_a_trigger_off_is_named(armed_root: FakeRoot, directory: str, line: str) -> None:
    armed_root.write(f"{directory}/sysctl.d/99-owner.conf", f"; ours\n{line}\n")
    (finding,) = _findings(armed_root)
    assert finding["code"] == "sysctl-not-persistent"
    assert f"/{directory}/sysctl.d/99-owner.conf" in finding["remedy"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("usr/local/lib/sysctl.d/50-owner.conf", "kernel.unknown_nmi_panic=0\n"),
        ("etc/sysctl.d/99-owner.conf", "#kernel.unknown_nmi_panic=0\n"),
        ("etc/sysctl.d/99-owner.conf", "kernel.unknown_nmi_panic=0\nkernel.unknown_nmi_panic=1\n"),
        ("etc/sysctl.d/99-owner.conf.rpmsave", "kernel.unknown_nmi_panic=0\n"),
        ("usr/lib/sysctl.d/99-kernel_panic.conf", "kernel.unknown_nmi_panic=0\n"),
    ],
    ids=["read-before-ours", "comment", "taken-back", "no-conf", "hidden-by-ours"],
)
def test_line_that_does_not_win_is_no_finding(armed_root: FakeRoot, path: str, text: str) -> None:
    armed_root.write(path, text)
    assert _findings(armed_root) == []


@pytest.mark.parametrize(
    ("trigger", "switch"),
    [
        ("softlockup_panic", "watchdog"),
        ("softlockup_panic", "soft_watchdog"),
        ("softlockup_panic", "watchdog_thresh"),
        ("hardlockup_panic", "watchdog"),
        ("hardlockup_panic", "nmi_watchdog"),
        ("hung_task_panic", "hung_task_timeout_secs"),
        ("hung_task_panic", "hung_task_check_count"),
    ],
)
@pytest.mark.parametrize("when", ["now", "next-boot"])
def test_trigger_whose_detector_is_off_is_found(armed_root: FakeRoot, trigger: str, switch: str, when: str) -> None:
    replace(armed_root, OURS, f"{trigger} = 0", f"{trigger} = 1")
    armed_root.write(f"proc/sys/kernel/{trigger}", "1\n")
    armed_root.write(f"proc/sys/kernel/{switch}", "0\n" if when == "now" else "10\n")
    if when == "next-boot":
        armed_root.write("etc/sysctl.d/10-quiet.conf", f"kernel.{switch} = 0\n")
    (finding,) = _findings(armed_root)
    assert (finding["code"], finding["severity"]) == ("detector-off", "error")
    assert switch in finding["observed"]
    assert trigger in finding["observed"]


# --- kdump-tools


@pytest.mark.parametrize(
    "line", ['KDUMP_COMPRESSION="gzip"', "KDUMP_COMPRESSION=lz4", "export KDUMP_COMPRESSION='xz' # small"]
)
def test_dump_is_not_compressed_as_a_whole(root: FakeRoot, line: str) -> None:
    install_kdump(root)
    add_line(root, CONFIGURATION, line)
    root.run("configure_kdump")
    lines = root.read(CONFIGURATION).splitlines()
    assert [text for text in lines if "KDUMP_COMPRESSION" in text] == ['KDUMP_COMPRESSION=""']
    assert line in (originals(root)[CONFIGURATION] or "")
    assert root.run("configure_kdump").result["changes"] == []


@pytest.mark.parametrize("extension", ["gz", "bz2", "xz", "lz4"])
def test_dump_that_is_compressed_as_a_whole_is_named(root: FakeRoot, extension: str) -> None:
    path = f"/var/crash/202611230213/dump.202611230213.{extension}"
    put(root, path, b"\x1f\x8b\x08" + 100 * b"x")
    run = root.run("upload_vmcore", action="find")
    assert run.error == "VmcoreNotFound"
    assert path in run.stdout
    assert "KDUMP_COMPRESSION" in run.stdout


@pytest.mark.parametrize(
    "command",
    ["sync; reboot -f", "logger failed && reboot -f", "echo 'failed'; /bin/bash; reboot -f", "/bin/bash", "halt -f"],
)
def test_command_after_a_failed_dump_is_named_with_one_that_works(armed_root: FakeRoot, command: str) -> None:
    """/etc/init.d/kdump-tools runs the words of $KDUMP_FAIL_CMD, and nothing after it."""
    add_line(armed_root, CONFIGURATION, f'KDUMP_FAIL_CMD="{command}"')
    (finding,) = _findings(armed_root)
    assert finding["code"] == "failure-action"
    assert f'KDUMP_FAIL_CMD="{command}"' in finding["remedy"]
    assert "run configure_kdump" not in finding["remedy"]
    replace(armed_root, CONFIGURATION, f'KDUMP_FAIL_CMD="{command}"', 'KDUMP_FAIL_CMD="reboot -f"')
    assert _findings(armed_root) == []


@pytest.mark.parametrize("key", ["KDUMP_KERNEL", "KDUMP_INITRD"])
def test_pinned_crash_kernel_is_named_with_the_line_that_unpins_it(armed_root: FakeRoot, key: str) -> None:
    link = {"KDUMP_KERNEL": "vmlinuz", "KDUMP_INITRD": "initrd.img"}[key]
    pin = f"{key}=/boot/{link}-6.1.0-28-cloud-amd64"
    armed_root.write(f"boot/{link}-6.1.0-28-cloud-amd64", "")
    replace(armed_root, CONFIGURATION, f"{key}=/var/lib/kdump/{link}", pin)
    (finding,) = _findings(armed_root)
    assert finding["code"] == "crash-initramfs-stale"
    assert f"write {key}=/var/lib/kdump/{link} for {pin} in /{CONFIGURATION}" in finding["remedy"]


@pytest.mark.parametrize("name", ["rhel9", "sles15"])
def test_pinned_kernel_of_the_others_is_named_as_well(armed: Armed, name: str) -> None:
    root = armed(name)
    replace(root, "etc/sysconfig/kdump", 'KDUMP_KERNELVER=""', 'KDUMP_KERNELVER="4.18.0-1"')
    root.write("sys/kernel/kexec_crash_loaded", "0\n")
    codes = {finding["code"]: finding["remedy"] for finding in _findings(root)}
    assert 'KDUMP_KERNELVER="4.18.0-1" in /etc/sysconfig/kdump' in codes["crash-kernel-not-loaded"]


def test_action_of_an_owner_s_drop_in_is_named(armed_root: FakeRoot) -> None:
    spoils_of("debian")["halts-after-the-dump"].do(armed_root)
    (finding,) = _findings(armed_root)
    assert "/etc/systemd/system/kdump-tools-dump.service.d/zz-owner.conf" in finding["remedy"]


def test_kernel_that_runs_is_no_pin(armed_root: FakeRoot) -> None:
    os.utime(armed_root.write(f"boot/vmlinuz-{KERNEL}", ""), (1, 1))
    replace(armed_root, CONFIGURATION, "KDUMP_KERNEL=/var/lib/kdump/vmlinuz", f"KDUMP_KERNEL=/boot/vmlinuz-{KERNEL}")
    assert _findings(armed_root) == []
