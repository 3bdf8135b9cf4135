"""The reservation is judged by its size, for this boot and the next, for which others may write a smaller one."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import MIB, VOLUME_ID, FakeRoot
from tests.ssm_documents.host_states import GRUB_D
from tests.ssm_documents.ready_host import prepared_copy

RECORD = "etc/hangdump/crashkernel"


def _reinstall_kdump_tools(root: FakeRoot) -> None:
    """dpkg --force-confnew, whose postinst runs update-grub."""
    root.write(GRUB_D, 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=384M-:128M"\n')
    root.command("update-grub")


def _write_default_by_pbl(root: FakeRoot) -> None:
    root.command("pbl", "--add-option", "crashkernel=128M", "--config")


def _write_default_by_grubby(root: FakeRoot) -> None:
    root.command("grubby", "--update-kernel=ALL", "--args=crashkernel=128M")


def _add_a_later_value(root: FakeRoot) -> None:
    """Of several the kernel takes the last."""
    grub = root.read(GRUB_D)
    root.write(GRUB_D, grub.rstrip('"\n') + ' crashkernel=128M"\n')
    root.command("update-grub")


SHRUNK = [
    ("debian12", _reinstall_kdump_tools),
    ("debian12", _add_a_later_value),
    ("rhel9", _write_default_by_grubby),
    ("sles15", _write_default_by_pbl),
    ("sles16", _write_default_by_pbl),
]


def _findings(root: FakeRoot) -> list[tuple[str, str]]:
    result = root.run("check_kdump", volumeId=VOLUME_ID).result
    return [(finding["code"], finding["observed"]) for finding in result["findings"]]


def _ready(name: str, path: Path, *, memory_mib: int = 7800, **given: str) -> FakeRoot:
    root = prepared_copy(name, path, memory_mib=memory_mib)
    assert root.run("configure_kdump", reboot="true", **given).exit_code == 194
    root.reboot()
    assert root.run("configure_kdump", reboot="true", **given).result["status"] == "configured"
    assert _findings(root) == []
    return root


@pytest.mark.parametrize(("name", "shrink"), SHRUNK)
def test_smaller_reservation_of_the_next_boot_is_found_and_written_again_without_a_reboot(
    tmp_path: Path, name: str, shrink: Callable[[FakeRoot], None]
) -> None:
    root = _ready(name, tmp_path / "root")
    cmdline, reserved = root.next_cmdline(), root.read("sys/kernel/kexec_crash_size")
    shrink(root)
    ((code, observed),) = _findings(root)
    assert code == "reservation-too-small"
    assert "the next boot reserves 128 MiB" in observed
    assert root.run("configure_kdump", reboot="true").result["status"] == "configured"
    assert sorted(root.next_cmdline().split()) == sorted(cmdline.split())
    assert _findings(root) == []
    root.reboot()
    assert root.read("sys/kernel/kexec_crash_size") == reserved


def test_smaller_reservation_is_found_after_the_reboot_as_well(tmp_path: Path) -> None:
    root = _ready("debian12", tmp_path / "root")
    _reinstall_kdump_tools(root)
    root.reboot()
    ((code, observed),) = _findings(root)
    assert code == "reservation-too-small"
    assert observed == "128 MiB are reserved, 128 MiB from the next boot on; configure_kdump wanted 512 MiB"


def test_smaller_reservation_is_found_on_a_host_whose_wanted_size_is_not_recorded(tmp_path: Path) -> None:
    root = _ready("debian12", tmp_path / "root")
    (root.path / RECORD).unlink()
    assert _findings(root) == []
    _reinstall_kdump_tools(root)
    ((code, observed),) = _findings(root)
    assert code == "reservation-too-small"
    assert "the next boot reserves 128 MiB, this one 512 MiB" in observed


def test_size_that_the_owner_wants_smaller_than_the_table_is_enough(tmp_path: Path) -> None:
    root = _ready("debian12", tmp_path / "root", crashkernel="256M")
    assert root.run("configure_kdump", crashkernel="256M").result["status"] == "unchanged"


def test_smaller_size_is_the_one_that_is_checked_from_then_on(tmp_path: Path) -> None:
    root = _ready("debian12", tmp_path / "root")
    root.run("configure_kdump", crashkernel="256M")
    root.write(GRUB_D, 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=256M"\n')
    root.command("update-grub")
    assert _findings(root) == []


@pytest.mark.parametrize("value", ["768m", "0x30000000", "06000000000", "786432k", "0-1g:64m,1g-:768m", "768m@16m"])
def test_size_is_read_as_the_kernel_reads_it(armed_root: FakeRoot, value: str) -> None:
    """lib/cmdline.c, memparse(): small letters, hexadecimal and octal."""
    armed_root.memory_mib = 7800
    for entry in armed_root.path.glob(armed_root.host.boot_entries):
        entry.write_text(re.sub(r"crashkernel=[^ \n]*", f"crashkernel={value}", entry.read_text()))
    armed_root.write("kdump-config-estimate", "700M\n")
    ((code, observed),) = _findings(armed_root)
    assert code == "reboot-pending"
    assert "the next boot reserves 768 MiB" in observed
    armed_root.reboot()
    assert armed_root.read("sys/kernel/kexec_crash_size") == f"{768 * MIB}\n"
    assert _findings(armed_root) == []
    assert armed_root.run("configure_kdump").result["crashkernel"] == value


def test_value_that_the_kernel_cannot_read_reserves_nothing_at_the_next_boot(armed_root: FakeRoot) -> None:
    for entry in armed_root.path.glob(armed_root.host.boot_entries):
        entry.write_text(re.sub(r"crashkernel=[^ \n]*", "crashkernel=a[$(reboot)]", entry.read_text()))
    ((code, observed),) = _findings(armed_root)
    assert code == "reservation-too-small"
    assert "the next boot reserves 0 MiB" in observed


@pytest.mark.parametrize("installed", [False, True])
def test_host_below_what_its_distribution_makes_a_crash_kernel_for_is_refused(
    tmp_path: Path, *, installed: bool
) -> None:
    """kdump-utils dropped its default below 2 GiB: with 192M the kernel does not unpack the crash initramfs."""
    root = prepared_copy("rhel10", tmp_path / "root", memory_mib=985)
    if installed:
        root.command("dnf", "install", "kdump-utils", "makedumpfile")
    before = root.tree()
    run = root.run("configure_kdump", reboot="true")
    assert (run.exit_code, run.error) == (1, "InsufficientMemory")
    assert "985 MiB" in run.stdout
    assert "at least 2G" in run.stdout
    after = root.tree()
    assert {path: after[path] for path in before if path.startswith(("etc/", "boot/"))} == {
        path: before[path] for path in before if path.startswith(("etc/", "boot/"))
    }
    assert root.run("configure_kdump", crashkernel="300M").result["status"] == "reboot-required"
