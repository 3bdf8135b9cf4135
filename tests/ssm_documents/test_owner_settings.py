"""Settings of the owner that defeat ours: refused or found by name before the crash, with a remedy that works."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ssm_documents.dumps import put
from tests.ssm_documents.fake_root import KERNEL, VOLUME_ID, FakeRoot
from tests.ssm_documents.host_states import CONFIGURATION, install_kdump
from tests.ssm_documents.ledger import originals, put_edited_files_back
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


def test_older_dumps_are_not_deleted(root: FakeRoot) -> None:
    """kdump-tools keeps so many dumps, and deletes the others whether anybody has collected them or not."""
    install_kdump(root)
    add_line(root, CONFIGURATION, "KDUMP_NUM_DUMPS=1")
    root.run("configure_kdump")
    assert 'KDUMP_NUM_DUMPS=""' in root.read(CONFIGURATION).splitlines()
    assert root.run("configure_kdump").result["changes"] == []


def test_arguments_of_the_owner_get_the_unit_that_waits_for_the_volume(root: FakeRoot) -> None:
    install_kdump(root)
    add_line(root, CONFIGURATION, 'KDUMP_CMDLINE_APPEND="irqpoll nr_cpus=1 nousb"')
    root.run("configure_kdump")
    wanted = 'KDUMP_CMDLINE_APPEND="irqpoll nr_cpus=1 nousb systemd.unit=kdump-tools-dump.service panic=10"'
    assert wanted in root.read(CONFIGURATION).splitlines()


# --- lines that are no lines of their own


@pytest.mark.parametrize(
    "lines",
    [
        '{key}="reset_devices nr_cpus=1"\n{key}="${key} x=1"',
        '{key}="reset_devices \\\n  nr_cpus=1"',
        '{key}="reset_devices\nnr_cpus=1"',
        "{key}='dyndbg=\"m +p\"'",
        '{key}="nr_cpus=1" # was "nr_cpus=2"',
        '{key}="nr_cpus=$(nproc)"',
        "if [ -e /etc/large ]; then\n  {key}=a\nelse\n  {key}=b\nfi",
    ],
    ids=["itself", "continued", "two-lines", "quotes-inside", "quoted-comment", "substitution", "condition"],
)
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("debian12", "KDUMP_CMDLINE_APPEND"),
        ("rhel9", "KDUMP_COMMANDLINE_APPEND"),
        ("sles16", "KDUMP_REQUIRED_PROGRAMS"),
    ],
)
def test_value_that_cannot_be_added_to_is_refused_before_any_change(
    tmp_path: Path, name: str, key: str, lines: str
) -> None:
    root = prepared_copy(name, tmp_path / "root")
    assert root.run("configure_kdump").exit_code == 0
    put_edited_files_back(root)
    file = "etc/default/kdump-tools" if name == "debian12" else "etc/sysconfig/kdump"
    add_line(root, file, lines.replace("{key}", key))
    before = root.tree()
    run = root.run("configure_kdump")
    assert run.error == "ConfigurationFailed"
    assert f"/{file} has " in run.stdout
    assert key in run.stdout
    assert root.tree() == before


@pytest.mark.parametrize(
    "lines",
    ["if [ -e /etc/large ]; then KDUMP_DUMP_DMESG=1; fi", "# KDUMP_COREDIR \\", "MY_KDUMP='a\n b'", "KDUMP_SYSCTL=$x"],
)
def test_other_lines_of_the_owner_may_be_as_they_like(root: FakeRoot, lines: str) -> None:
    install_kdump(root)
    add_line(root, CONFIGURATION, lines)
    assert root.run("configure_kdump").exit_code == 0
    assert lines in root.read(CONFIGURATION)


def test_file_that_its_owner_linked_to_the_null_device_is_refused_and_stays(root: FakeRoot) -> None:
    (root.path / "dev").mkdir(exist_ok=True)
    # A device takes root's rights; it is no file either.
    os.mkfifo(root.path / "dev/null")
    link = root.path / "etc/systemd/system/hangdump-ready.service"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(root.path / "dev/null")
    run = root.run("configure_kdump")
    assert run.error == "ConfigurationFailed"
    assert "hangdump-ready.service leads to /dev/null" in run.stdout
    assert stat.S_ISFIFO((root.path / "dev/null").stat().st_mode)


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
