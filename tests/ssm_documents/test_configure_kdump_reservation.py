"""crashkernel=: how much, where it is written, and when a reboot is asked for or refused."""

import os
import subprocess
from pathlib import Path

import pytest

from ssm_documents.assemble import HERE
from tests.ssm_documents.fake_root import MIB, FakeRoot
from tests.ssm_documents.host_states import GRUB_D, install_kdump
from tests.ssm_documents.ledger import originals


@pytest.mark.parametrize(
    ("memory_mib", "reserved_mib"),
    [
        (985, 192),
        (1960, 320),
        (3900, 320),
        (7800, 512),
        (515_000, 512),
        (1_900_000, 1024),
        (6_000_000, 2048),
        (12_000_000, 4096),
    ],
)
def test_reservation_by_memory(root: FakeRoot, memory_mib: int, reserved_mib: int) -> None:
    root.memory_mib = memory_mib
    root.boot(cmdline="quiet", reserved_mib=0)
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    root.reboot()
    assert root.read("sys/kernel/kexec_crash_size") == f"{reserved_mib * MIB}\n"
    assert root.run("configure_kdump").result["status"] != "reboot-required"


@pytest.mark.parametrize(
    "crashkernel", ["256M", "1G-4G:192M,4G-:256M", "0-:160M", "200M@16M", "1G-:200M@16M", "300M,high"]
)
def test_explicit_reservation_wins(root: FakeRoot, crashkernel: str) -> None:
    assert root.run("configure_kdump", crashkernel=crashkernel).result["crashkernel"] == crashkernel
    assert f"crashkernel={crashkernel}\n" in root.read("boot/grub/grub.cfg")


def test_pair_for_both_sides_of_4_gib_is_two_arguments_and_is_configured_once(root: FakeRoot) -> None:
    root.run("configure_kdump", crashkernel="300M,high 72M,low")
    assert " crashkernel=300M,high crashkernel=72M,low\n" in root.read("boot/grub/grub.cfg")
    root.reboot()
    assert root.run("configure_kdump", crashkernel="300M,high 72M,low").result["status"] == "unchanged"
    assert len(root.called("update-grub")) == 2  # the package's own, and ours


@pytest.mark.parametrize(
    "crashkernel", ["256", "0M", "256M@", "72M,low", "1G-4G", "4G:256M", "256M;reboot", "256M 72M,low", "1G-2G:64M,"]
)
def test_what_the_kernel_would_not_take_is_refused_with_what_is_allowed(root: FakeRoot, crashkernel: str) -> None:
    before = root.tree()
    run = root.run("configure_kdump", crashkernel=crashkernel)
    assert run.error == "InvalidParameter"
    assert "auto|" in run.stdout
    assert root.tree() == before


def test_range_that_reserves_nothing_on_this_host_is_refused(root: FakeRoot) -> None:
    run = root.run("configure_kdump", crashkernel="4G-:256M")
    assert run.error == "InvalidParameter"
    assert "crashkernel=4G-:256M" not in root.read("boot/grub/grub.cfg")


def test_running_reservation_that_is_large_enough_is_left_alone(root: FakeRoot) -> None:
    root.write("etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet crashkernel=256M"\n')
    root.write("boot/grub/grub.cfg", "\tlinux\t/boot/vmlinuz ro quiet crashkernel=256M\n")
    root.boot(cmdline="ro quiet crashkernel=256M", reserved_mib=256)
    install_kdump(root)
    (root.path / GRUB_D).unlink()
    result = root.run("configure_kdump", reboot="true").result
    assert (result["status"], result["crashkernel"]) == ("configured", "256M")
    assert not root.called("update-grub")
    assert root.read("sys/kernel/kexec_crash_loaded") == "1\n"


def test_reservation_that_is_too_small_is_replaced_not_added_to(root: FakeRoot) -> None:
    install_kdump(root)
    root.write(
        "etc/default/grub", 'GRUB_CMDLINE_LINUX="console=ttyS0 crashkernel=64M"\nGRUB_CMDLINE_LINUX_DEFAULT=""\n'
    )
    root.boot(cmdline="ro crashkernel=64M crashkernel=384M-:128M", reserved_mib=128)
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    assert root.read("boot/grub/grub.cfg").count("crashkernel=") == 1
    assert 'GRUB_CMDLINE_LINUX="console=ttyS0"' in root.read("etc/default/grub")
    assert "crashkernel=64M" in (originals(root)["etc/default/grub"] or "")
    assert "384M-:128M" in (originals(root)[GRUB_D] or "")


def test_foreign_settings_of_the_boot_loader_survive(root: FakeRoot) -> None:
    install_kdump(root)
    root.write(GRUB_D, 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=1M nmi"\nGRUB_TIMEOUT=1\n')
    root.run("configure_kdump")
    assert " nmi" in root.read("boot/grub/grub.cfg")
    assert "GRUB_TIMEOUT=1" in root.read(GRUB_D)


@pytest.mark.parametrize("line", ['GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT audit=1"', "GRUB_TIMEOUT=1"])
def test_last_line_without_an_end_stays_a_line(root: FakeRoot, line: str) -> None:
    install_kdump(root)
    root.write(GRUB_D, f"# ours\n{line}")
    root.run("configure_kdump")
    assert line in root.read(GRUB_D).splitlines()
    assert ("audit=1" in line) == (" audit=1" in root.read("boot/grub/grub.cfg"))
    assert root.run("configure_kdump").result["changes"] == []


def test_exported_value_is_replaced_as_well(root: FakeRoot) -> None:
    root.write("etc/default/grub", 'export GRUB_CMDLINE_LINUX_DEFAULT="quiet crashkernel=1M"\n')
    assert root.run("configure_kdump").result["status"] == "reboot-required"
    assert "crashkernel=1M" not in root.read("boot/grub/grub.cfg")


def test_later_file_that_drops_the_reservation_is_found_out_before_the_reboot(root: FakeRoot) -> None:
    root.write("etc/default/grub.d/zz-local.cfg", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n')
    run = root.run("configure_kdump", reboot="true")
    assert (run.exit_code, run.error) == (1, "ConfigurationFailed")
    assert "/etc/default/grub.d" in run.stdout


def test_update_grub_that_fails_is_named(root: FakeRoot) -> None:
    root.write("boot/grub/broken", "")
    run = root.run("configure_kdump", reboot="true")
    assert (run.exit_code, run.error) == (1, "ConfigurationFailed")
    assert "grub-probe" in run.stderr


def test_kernel_that_could_not_reserve_is_not_rebooted_again(root: FakeRoot) -> None:
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    root.boot(cmdline=root.next_cmdline(), reserved_mib=0)
    run = root.run("configure_kdump", reboot="true")
    assert (run.exit_code, run.error) == (1, "ConfigurationFailed")
    assert "smaller crashkernel" in run.stdout


def test_reboot_that_changed_nothing_is_not_repeated(root: FakeRoot) -> None:
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    root.boot(cmdline="ro quiet", reserved_mib=0)  # another boot loader
    run = root.run("configure_kdump", reboot="true")
    assert (run.exit_code, run.error) == (1, "ConfigurationFailed")
    assert "boot loader" in run.stdout


def test_the_command_line_is_quoted_no_further_than_its_crashkernel(root: FakeRoot) -> None:
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    root.boot(cmdline="ro systemd.setenv=DB_PASSWORD=secret crashkernel=8M", reserved_mib=0)
    run = root.run("configure_kdump", reboot="true")
    assert "booted with crashkernel=8M" in run.stdout
    assert "secret" not in run.stdout + run.stderr


def test_connection_lost_before_the_reboot_asks_again(root: FakeRoot) -> None:
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    assert root.run("configure_kdump", reboot="true").exit_code == 194


def test_crash_kernel_that_cannot_be_loaded_is_named(root: FakeRoot) -> None:
    root.run("configure_kdump")
    root.reboot()
    root.write("sys/kernel/kexec_crash_loaded", "0\n")
    root.write("units/kdump-tools.service.refuses", "")
    run = root.run("configure_kdump")
    assert run.error == "ConfigurationFailed"
    assert "journalctl -u kdump-tools.service" in run.stdout


def test_disabled_service_is_enabled(armed_root: FakeRoot) -> None:
    armed_root.write("units/kdump-tools.service", "disabled\n")
    assert armed_root.run("configure_kdump").result["changes"] == ["kdump-tools.service enabled"]


def test_estimate_that_is_known_only_after_the_first_boot_is_reserved_by_a_second_one(root: FakeRoot) -> None:
    root.memory_mib = 1970
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    root.reboot()
    root.write("kdump-config-estimate", "341M\n")
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    root.reboot()
    assert root.run("configure_kdump", reboot="true").result["crashkernel"] == "384M"


@pytest.mark.parametrize(
    ("unpacked_mib", "estimate_mib", "reserved_mib"), [(160, 341, 384), (60, 230, 256), (10, 150, 192)]
)
def test_estimate_is_foreseen_so_that_one_reboot_is_enough(
    root: FakeRoot, unpacked_mib: int, estimate_mib: int, reserved_mib: int
) -> None:
    """kdump-config 1.10 shows it after the first boot with kdump only: "can't find early boot memory info"."""
    root.write("var/lib/apt/kdump-unpacked-mib", f"{unpacked_mib}\n")
    with root.write(f"boot/vmlinuz-{root.host.kernel}", "").open("wb") as kernel:
        kernel.truncate(14 * MIB)
    root.write(
        "kdump-config-estimate", "Unknown (can't find early boot memory info, it's only available after a reboot)\n"
    )
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    root.reboot()
    root.write("kdump-config-estimate", f"{estimate_mib}M\n")
    assert root.run("configure_kdump", reboot="true").result["status"] == "configured"
    assert root.read("sys/kernel/kexec_crash_size") == f"{reserved_mib * MIB}\n"


def test_estimate_below_the_table_is_not_taken(root: FakeRoot) -> None:
    root.write("kdump-config-estimate", "150M\n")
    assert (
        root.run("configure_kdump").result["crashkernel"] == "0-2G:192M,2G-4G:320M,4G-1T:512M,1T-4T:1G,4T-8T:2G,8T-:4G"
    )


@pytest.mark.parametrize(("loads", "told"), [(3, f"{192 * MIB}"), (60, "0")], ids=["for-a-moment", "for-ever"])
def test_reservation_is_asked_again_while_the_kernel_loads_a_crash_kernel(
    tmp_path: Path, loads: int, told: str
) -> None:
    """It answers EBUSY meanwhile, here as a directory does. Without its reservation a host has too little memory."""
    (tmp_path / "sys/kernel/kexec_crash_size").mkdir(parents=True)
    script = f"""
      . {HERE / "shell/host.sh"}
      naps=0
      sleep() {{
        naps=$((naps + 1))
        ((naps < {loads})) || {{ rmdir "$HOST_ROOT/sys/kernel/kexec_crash_size"; echo {192 * MIB} >"$file"; }}
      }}
      reserved_bytes
    """
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"HOST_ROOT": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == told
