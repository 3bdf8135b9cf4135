"""check_kdump on the RHEL-like family: what it asks kdumpctl and lsinitrd, and what it never concludes from silence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.hosts import host
from tests.ssm_documents.ready_host import fresh_host
from tests.ssm_documents.spoiling import add_line, replace
from tests.ssm_documents.spoils_redhat import CONFIGURATION, SYSCONFIG, crash_initrd

Armed = Callable[[str], FakeRoot]


def _findings(root: FakeRoot) -> list[tuple[str, str]]:
    result = root.run("check_kdump", volumeId=VOLUME_ID).result
    return [(finding["code"], finding["observed"]) for finding in result["findings"]]


def _codes(root: FakeRoot) -> list[str]:
    return [code for code, _ in _findings(root)]


@pytest.mark.parametrize("name", ["amzn2", "rhel10"])
def test_fresh_host_is_not_ready_and_every_reason_is_listed(tmp_path: Path, name: str) -> None:
    assert set(_codes(fresh_host(host(name), tmp_path / "root"))) == {
        "reservation-missing",
        "service-disabled",
        "fstab-entry-missing",
        "dump-target-not-mounted",
        "sysctl-not-persistent",
        "family-configuration-missing",
    }


@pytest.mark.parametrize("name", ["amzn2", "amzn2023", "rhel9"])
def test_reservation_below_what_kdumpctl_estimates_is_found(armed: Armed, name: str) -> None:
    root = armed(name)
    root.write("recommended-mib", "300\n")
    ((code, observed),) = _findings(root)
    assert code == "reservation-too-small"
    assert "300 MiB" in observed


def test_estimate_is_not_asked_for_when_it_would_make_the_initramfs_anew(armed: Armed) -> None:
    root = armed("rhel9")
    add_line(root, CONFIGURATION, "# touched")
    before = root.read(crash_initrd(root))
    assert _codes(root) == ["crash-initramfs-stale"]
    assert "kdumpctl estimate" not in root.calls
    assert root.read(crash_initrd(root)) == before


def test_kdump_without_an_estimate_is_not_asked_for_one(armed: Armed) -> None:
    root = armed("rhel7")
    assert _codes(root) == []
    assert "kdumpctl estimate" not in root.calls


def test_squashed_initramfs_does_not_count_as_one_without_nvme(armed: Armed) -> None:
    root = armed("rhel9")
    root.write("dracut-is-old", "")
    root.write("initramfs-is-squashed", "")
    assert _codes(root) == []


def test_files_are_looked_at_where_dracut_keeps_no_list(armed: Armed) -> None:
    root = armed("amzn2")
    root.write("dracut-is-old", "")
    assert _codes(root) == []
    replace(root, crash_initrd(root), "modules: nvme xfs", "modules: xfs")
    assert _codes(root) == ["crash-initramfs-lacks-nvme"]


def test_driver_within_the_kernel_is_not_missed(armed: Armed) -> None:
    root = armed("amzn2")
    replace(root, crash_initrd(root), "modules: nvme xfs", "modules: xfs")
    root.write(f"lib/modules/{root.host.kernel}/modules.builtin", "kernel/drivers/nvme/host/nvme.ko\n")
    assert _codes(root) == []


def test_lockdown_by_secure_boot_is_no_obstacle_as_kdumpctl_loads_by_file_then(armed: Armed) -> None:
    root = armed("rhel7")
    root.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    assert _codes(root) == ["lockdown-refuses-kexec"]
    variable = root.write("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "")
    variable.write_bytes(b"\x06\x00\x00\x00\x01")
    (root.path / "boot/efi/EFI").mkdir(parents=True)
    assert _codes(root) == []


@pytest.mark.parametrize(("arguments", "is_found"), [("-s", False), ("--kexec-syscall-auto", False), ("-d", True)])
def test_way_of_loading_is_read_from_sysconfig(armed: Armed, arguments: str, *, is_found: bool) -> None:
    root = armed("rhel9")
    replace(root, SYSCONFIG, 'KEXEC_ARGS="-s"', f'KEXEC_ARGS="{arguments}"')
    root.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    assert _codes(root) == ["lockdown-refuses-kexec"] * is_found


def test_dump_to_the_root_file_system_is_its_owners_choice(armed: Armed) -> None:
    root = armed("rhel9")
    replace(root, CONFIGURATION, "failure_action reboot", "failure_action dump_to_rootfs")
    root.command("kdumpctl", "rebuild")
    assert _codes(root) == []
