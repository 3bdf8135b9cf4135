"""/etc/kdump.conf: one target, one line for each option of ours, and every line of its owner as it was."""

from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import FakeRoot
from tests.ssm_documents.hosts import host
from tests.ssm_documents.ledger import originals
from tests.ssm_documents.ready_host import prepared_copy, prepared_host
from tests.ssm_documents.spoiling import replace
from tests.ssm_documents.spoils_redhat import crash_initrd

CONFIGURATION = "etc/kdump.conf"
UUID = "UUID=0a1b2c3d-0000-4000-8000-000000000001"
OURS = f"# Hangdump's dump volume:\nxfs {UUID}\n"


def _with_kdump(tmp_path: Path, name: str = "rhel9", configuration: str | None = None) -> FakeRoot:
    """As its owner installed and configured it earlier."""
    root = prepared_copy(name, tmp_path / "root")
    package = root.read("var/lib/rpm/kdump").split(maxsplit=1)[0]
    tool = "yum" if name in ("amzn2", "rhel7") else "dnf"
    root.command(
        tool, "-q", "--setopt=exit_on_lock=1", "install", package, *["makedumpfile"] * (package == "kdump-utils")
    )
    if configuration is not None:
        root.write(CONFIGURATION, configuration)
    return root


def _effective(root: FakeRoot) -> list[str]:
    return [line for line in root.read(CONFIGURATION).splitlines() if line and not line.startswith("#")]


def _load_with_own_settings(root: FakeRoot) -> None:
    root.boot(cmdline=root.next_cmdline() + " crashkernel=512M", reserved_mib=512)
    assert root.command("systemctl", "start", "kdump.service") == 0
    assert root.read("sys/kernel/kexec_crash_loaded") == "1\n"


# --- what is written


def test_lines_of_its_owner_survive_and_ours_are_replaced_in_place(tmp_path: Path) -> None:
    root = _with_kdump(
        tmp_path,
        configuration=(
            "# our own\nextra_modules gfs2\n\npath /var/crash # where\npath /srv\n#path /x\n"
            "core_collector makedumpfile -c\nkdump_post /usr/local/bin/tell\n"
            "auto_reset_crashkernel yes\ndefault shell\n"
        ),
    )
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    assert root.read(CONFIGURATION) == (
        "# our own\nextra_modules gfs2\n\npath /\n#path /x\n"
        "core_collector makedumpfile -l --message-level 7 -d 31\nkdump_post /usr/local/bin/tell\n"
        f"auto_reset_crashkernel no\nfailure_action reboot\n{OURS}final_action reboot\n"
    )
    assert "path /srv\n" in (originals(root)[CONFIGURATION] or "")


def test_file_system_is_that_of_the_volume(tmp_path: Path) -> None:
    root = prepared_host(host("rhel9"), tmp_path / "root", file_system="ext4")
    root.run("configure_kdump", fileSystem="xfs")
    assert f"ext4 {UUID}" in _effective(root)


def test_collector_level_and_final_action_are_as_asked_for(tmp_path: Path) -> None:
    root = _with_kdump(tmp_path)
    root.run("configure_kdump", coreCollector="makedumpfile -c", dumpLevel="17", finalAction="poweroff")
    assert {"core_collector makedumpfile -c -d 17", "final_action poweroff", "failure_action reboot"} <= set(
        _effective(root)
    )


def test_power_off_is_refused_where_kdump_can_only_reboot(tmp_path: Path) -> None:
    root = _with_kdump(tmp_path, "rhel7")
    before = root.read(CONFIGURATION)
    run = root.run("configure_kdump", finalAction="poweroff")
    assert run.error == "InvalidParameter"
    assert "knows no final_action" in run.stdout
    assert root.read(CONFIGURATION) == before


def test_actions_have_their_present_names_where_kdump_knows_them(tmp_path: Path) -> None:
    """Amazon Linux 2 has kexec-tools 2.0.23, not RHEL 7's 2.0.15."""
    root = prepared_copy("amzn2", tmp_path / "root")
    assert root.run("configure_kdump", finalAction="poweroff").result["status"] == "reboot-required"
    assert {"failure_action reboot", "final_action poweroff"} <= set(_effective(root))
    assert not [line for line in _effective(root) if line.startswith("default ")]
    assert (root.path / crash_initrd(root)).exists()


def test_volume_that_was_given_earlier_is_replaced_by_the_new_one(tmp_path: Path) -> None:
    root = _with_kdump(tmp_path)
    root.run("configure_kdump")
    older = root.read(CONFIGURATION).replace("UUID=0a1b2c3d", "UUID=deadbeef")
    root.write(CONFIGURATION, older)
    root.run("configure_kdump")
    assert root.read(CONFIGURATION) == older.replace("UUID=deadbeef", "UUID=0a1b2c3d")


def test_same_target_that_its_owner_wrote_is_not_written_twice(tmp_path: Path) -> None:
    root = _with_kdump(tmp_path, configuration=f"xfs   {UUID}\npath /\n")
    root.run("configure_kdump")
    assert root.read(CONFIGURATION).count("UUID=") == 1


# --- what stops it


@pytest.mark.parametrize(
    "line",
    [
        "nfs my.server.com:/export/tmp",
        "ssh user@my.server.com",
        "raw /dev/vg/lv_kdump",
        "ext4 LABEL=/boot",
        "xfs UUID=03138356-5e61-4ab3-b58e-27507ac41937",
        'dracut_args --mount "LABEL=KDUMP /kdump ext4 defaults"',
        "force_no_rebuild 1",
    ],
)
def test_target_of_its_owner_is_refused_by_name_and_left_as_it_is(tmp_path: Path, line: str) -> None:
    root = _with_kdump(tmp_path, configuration=f"{line}\npath /var/crash\n")
    run = root.run("configure_kdump")
    assert run.error == "ConfigurationFailed"
    assert run.report is not None
    assert f"'{line}'" in run.report["message"]
    assert root.read(CONFIGURATION) == f"{line}\npath /var/crash\n"


@pytest.mark.parametrize(
    ("path", "old", "new", "words"),
    [
        ("etc/fstab", "/var/crash", "/mnt/other", "/etc/fstab has no line for /var/crash"),
        ("proc/self/mountinfo", "/var/crash", "/mnt/other", "Nothing is mounted at /var/crash"),
    ],
    ids=["not-in-fstab", "not-mounted"],
)
def test_dump_volume_has_to_be_prepared_first(tmp_path: Path, path: str, old: str, new: str, words: str) -> None:
    root = _with_kdump(tmp_path)
    replace(root, path, old, new)
    run = root.run("configure_kdump")
    assert run.error == "ConfigurationFailed"
    assert words in run.stdout
    assert "prepare_dump_volume" in run.stdout


def test_initramfs_that_cannot_be_made_is_found_out_before_the_reboot(tmp_path: Path) -> None:
    root = _with_kdump(tmp_path)
    root.write("dracut-fails", "")
    run = root.run("configure_kdump", reboot="true")
    assert (run.exit_code, run.error) == (1, "ConfigurationFailed")
    assert "mkdumprd: failed to make kdump initrd" in run.stdout


# --- the crash kernel that is loaded


def test_crash_kernel_that_was_loaded_with_other_settings_is_loaded_anew(tmp_path: Path) -> None:
    root = _with_kdump(tmp_path)
    _load_with_own_settings(root)
    result = root.run("configure_kdump", crashkernel="256M").result
    assert result["status"] == "configured"
    assert f"xfs {UUID}" in root.read(crash_initrd(root))
    assert "systemctl restart kdump.service" in root.calls
    assert root.read("sys/kernel/kexec_crash_loaded") == "1\n"


# --- arm64


def test_irqpoll_is_taken_from_the_crash_kernel_on_arm64_and_the_rest_stays(tmp_path: Path) -> None:
    root = _with_kdump(tmp_path, "amzn2023-arm64")
    (root.path / "proc/sys/kernel/unknown_nmi_panic").unlink()
    before = root.read("etc/sysconfig/kdump")
    assert "irqpoll " in before
    root.run("configure_kdump", unknown_nmi_panic="0")
    assert root.read("etc/sysconfig/kdump") == before.replace("irqpoll ", "")


# --- the stub itself: kdump.service refuses what the real one refuses


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("path /\n", f"path /\next4 {UUID}\n"),
        ("path /\n", "path /\npath /srv\n"),
        ("path /\n", "path /not-there\n"),
        ("path /\n", "path /\nno_such_option 1\n"),
        ("xfs UUID", "ext4 UUID"),
        ("UUID=0a1b2c3d", "UUID=deadbeef"),
        ("final_action reboot", "final_action sleep"),
    ],
    ids=[
        "two-targets",
        "two-paths",
        "no-such-path",
        "unknown-option",
        "wrong-type",
        "no-such-volume",
        "no-such-action",
    ],
)
def test_service_refuses_what_kdumpctl_refuses(tmp_path: Path, old: str, new: str) -> None:
    root = _with_kdump(tmp_path)
    root.run("configure_kdump")
    replace(root, CONFIGURATION, old, new)
    root.reboot()
    assert root.read("sys/kernel/kexec_crash_loaded") == "0\n"


def test_service_is_skipped_without_a_reservation(tmp_path: Path) -> None:
    root = _with_kdump(tmp_path)
    root.run("configure_kdump")
    assert root.command("systemctl", "start", "kdump.service") == 0
    assert root.read("sys/kernel/kexec_crash_loaded") == "0\n"
