"""configure_kdump on Ubuntu's cloud images, whose files in grub.d set the command line anew; and on Debian 13's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID, FakeRoot
from tests.ssm_documents.host_states import GRUB_D
from tests.ssm_documents.hosts import host
from tests.ssm_documents.spoils_debian import SPOILS

CLOUD_SETTINGS = "etc/default/grub.d/50-cloudimg-settings.cfg"
# What kdump-tools brings from Ubuntu 24.10 on.
DEFAULT_24_10 = "2G-4G:320M,4G-32G:512M,32G-64G:1024M,64G-128G:2048M,128G-:4096M"


@pytest.fixture(params=["ubuntu2204", "ubuntu2404"])
def ubuntu(request: pytest.FixtureRequest, tmp_path: Path) -> FakeRoot:
    """A fresh instance."""
    return FakeRoot(tmp_path / "root", host=host(request.param), memory_mib=7800)


def test_command_line_of_the_image_stays_and_gets_one_reservation(ubuntu: FakeRoot) -> None:
    before = ubuntu.next_cmdline().split()
    ubuntu.run("configure_kdump", crashkernel="448M")
    assert sorted(ubuntu.next_cmdline().split()) == sorted([*before, "crashkernel=448M"])


def test_reservation_in_etc_default_grub_would_be_lost_to_grub_d(ubuntu: FakeRoot) -> None:
    """Why it is written into grub.d; the line in /etc/default/grub is emptied of it, so that nobody believes it."""
    ubuntu.write("etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet splash crashkernel=64M"\n')
    ubuntu.command("update-grub")
    assert "crashkernel" not in ubuntu.next_cmdline()
    ubuntu.run("configure_kdump", crashkernel="448M")
    assert ubuntu.next_cmdline().count("crashkernel=") == 1
    assert ubuntu.read("etc/default/grub") == 'GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\n'


def test_reservation_in_the_image_s_own_file_is_replaced_and_the_rest_of_it_stays(ubuntu: FakeRoot) -> None:
    original = ubuntu.read(CLOUD_SETTINGS)
    ubuntu.write(CLOUD_SETTINGS, original.replace("console=tty1", "console=tty1 crashkernel=128M"))
    ubuntu.run("configure_kdump", crashkernel="448M")
    assert ubuntu.read(CLOUD_SETTINGS) == original
    assert ubuntu.next_cmdline().count("crashkernel=") == 1


def test_later_file_that_sets_the_command_line_anew_is_found_out(ubuntu: FakeRoot) -> None:
    """As grub.d/zz-local.cfg, read after kdump-tools.cfg, wins on a real system."""
    ubuntu.write("etc/default/grub.d/zz-local.cfg", 'GRUB_CMDLINE_LINUX_DEFAULT="console=ttyS0"\n')
    run = ubuntu.run("configure_kdump")
    assert run.error == "ConfigurationFailed"
    assert "grub.d sets GRUB_CMDLINE_LINUX_DEFAULT anew" in run.stdout


def test_later_file_that_appends_is_left_alone(ubuntu: FakeRoot) -> None:
    ubuntu.write(
        "etc/default/grub.d/zz-local.cfg", 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT mitigations=auto"\n'
    )
    ubuntu.run("configure_kdump", crashkernel="448M")
    assert {"mitigations=auto", "crashkernel=448M"} <= set(ubuntu.next_cmdline().split())


def test_set_of_packages_is_ubuntu_s_own(ubuntu: FakeRoot) -> None:
    ubuntu.run("configure_kdump")
    assert ubuntu.called("apt-get")[0].endswith("install linux-crashdump kdump-tools makedumpfile initramfs-tools-core")


def test_dumps_lie_where_apport_removes_none(ubuntu: FakeRoot) -> None:
    """apport's cron job removes each directory /var/crash/<12 digits> that is a week old, collected or not."""
    ubuntu.run("configure_kdump")
    assert 'KDUMP_COREDIR="/var/crash/hangdump"' in ubuntu.read("etc/default/kdump-tools").splitlines()
    ubuntu.run("configure_kdump", mountPoint="/mnt/dumps")
    assert 'KDUMP_COREDIR="/mnt/dumps"' in ubuntu.read("etc/default/kdump-tools").splitlines()


def test_apport_that_comes_later_is_found_and_evaded(armed: Callable[[str], FakeRoot]) -> None:
    root = armed("debian12")
    SPOILS["dumps-where-apport-removes-them"][1](root)
    (finding,) = root.run("check_kdump", volumeId=VOLUME_ID).result["findings"]
    assert (finding["code"], finding["severity"]) == ("dump-removed-by-cron", "note")
    root.run("configure_kdump")
    assert root.run("check_kdump", volumeId=VOLUME_ID).result["findings"] == []
    assert root.run("configure_kdump").result["status"] == "unchanged"


@pytest.mark.parametrize(("memory_mib", "reserved"), [(3900, 320), (15_600, 512)])
def test_reservation_that_ubuntu_24_10_brings_is_left_alone_when_it_is_large_enough(
    tmp_path: Path, memory_mib: int, reserved: int
) -> None:
    root = FakeRoot(tmp_path / "root", host=host("ubuntu2404"), memory_mib=memory_mib)
    root.write("var/lib/apt/kdump-default", f"{DEFAULT_24_10}\n")
    root.command("apt-get", "install", "kdump-tools", "makedumpfile")
    root.reboot()
    assert root.read("sys/kernel/kexec_crash_size") == f"{reserved << 20}\n"
    result = root.run("configure_kdump", reboot="true").result
    assert (result["status"], result["crashkernel"]) == ("configured", DEFAULT_24_10)


def test_reservation_that_ubuntu_24_10_leaves_out_on_small_hosts_is_added(tmp_path: Path) -> None:
    root = FakeRoot(tmp_path / "root", host=host("ubuntu2404"), memory_mib=985)
    root.write("var/lib/apt/kdump-default", f"{DEFAULT_24_10}\n")
    assert root.run("configure_kdump", reboot="true").exit_code == 194
    root.reboot()
    assert root.read("sys/kernel/kexec_crash_size") == f"{192 << 20}\n"
    assert root.read(GRUB_D).count("crashkernel=") == 1


def test_console_arguments_of_debian_13_stay(tmp_path: Path) -> None:
    root = FakeRoot(tmp_path / "root", host=host("debian13"), memory_mib=7800)
    before = root.next_cmdline().split()
    root.run("configure_kdump", crashkernel="448M")
    assert sorted(root.next_cmdline().split()) == sorted([*before, "crashkernel=448M"])
