"""configure_kdump on SLES 15 (kdump 1) and SLES 16 (kdump 2): /etc/sysconfig/kdump, pbl, the crash kernel's initrd."""

from pathlib import Path

import pytest

from tests.ssm_documents.fake_root import FakeRoot
from tests.ssm_documents.ledger import originals
from tests.ssm_documents.ready_host import prepared_copy

# MemTotal of a 1 GiB guest.
_MEMORY_MIB = 985
CONFIGURATION = "etc/sysconfig/kdump"
GRUB_CFG = "boot/grub2/grub.cfg"
INITRDS = {"sles15": "boot/initrd-5.14.21-150500.55.83-default-kdump", "sles16": "var/lib/kdump/initrd"}


def settings(root: FakeRoot) -> dict[str, str]:
    """What /etc/sysconfig/kdump assigns."""
    lines = (line.partition("=") for line in root.read(CONFIGURATION).splitlines() if line[:1] not in ("#", ""))
    return {key: value.strip("\"'") for key, _, value in lines}


@pytest.fixture(params=["sles16", pytest.param("sles15", marks=pytest.mark.slow)])
def sles(request: pytest.FixtureRequest, tmp_path: Path) -> FakeRoot:
    """Either release."""
    return prepared_copy(request.param, tmp_path / "root", memory_mib=_MEMORY_MIB)


@pytest.fixture
def sles16(tmp_path: Path) -> FakeRoot:
    """kdump 2."""
    return prepared_copy("sles16", tmp_path / "root", memory_mib=_MEMORY_MIB)


@pytest.fixture
def sles15(tmp_path: Path) -> FakeRoot:
    """kdump 1."""
    return prepared_copy("sles15", tmp_path / "root", memory_mib=_MEMORY_MIB)


@pytest.mark.parametrize(
    ("collector", "expected"),
    [
        ("makedumpfile -c", ("compressed", "31", "")),
        ("makedumpfile -l --message-level 7", ("lzo", "31", "--message-level 7")),
        ("makedumpfile --num-threads 2 -E", ("ELF", "31", "--num-threads 2")),
    ],
)
def test_core_collector_becomes_format_level_and_options(
    sles: FakeRoot, collector: str, expected: tuple[str, str, str]
) -> None:
    sles.run("configure_kdump", coreCollector=collector)
    found = settings(sles)
    assert (found["KDUMP_DUMPFORMAT"], found["KDUMP_DUMPLEVEL"], found["MAKEDUMPFILE_OPTIONS"]) == expected


def test_format_that_this_kdump_does_not_know_is_refused(sles15: FakeRoot) -> None:
    sles15.command("zypper", "install", "kdump")
    makedumpfile = sles15.write("usr/sbin/makedumpfile", "#!/bin/sh\nprintf 'zstd\\tenabled\\n'\n")
    makedumpfile.chmod(0o755)
    run = sles15.run("configure_kdump", coreCollector="makedumpfile -z")
    assert run.error == "InvalidParameter"
    assert "zstd" in run.stdout


def test_reservation_is_what_kdumptool_reckons(sles16: FakeRoot) -> None:
    assert sles16.run("configure_kdump").result["crashkernel"] == "186M,high"
    assert " crashkernel=186M,high" in sles16.read(GRUB_CFG)


def test_reservation_on_both_sides_of_4_gib(tmp_path: Path) -> None:
    root = prepared_copy("sles16", tmp_path / "root", memory_mib=15_800)
    assert root.run("configure_kdump").result["crashkernel"] == "201M,high 72M,low"
    assert " crashkernel=201M,high crashkernel=72M,low\n" in root.read(GRUB_CFG)
    assert settings(root)["KDUMP_CRASHKERNEL"] == "crashkernel=201M,high crashkernel=72M,low"


def test_reservation_comes_from_the_table_when_kdumptool_cannot_tell(sles16: FakeRoot) -> None:
    sles16.write("calibrate-refuses", "")
    assert " crashkernel=0-2G:192M" in (sles16.run("configure_kdump").stdout and sles16.read(GRUB_CFG))


def test_old_reservation_is_replaced_wherever_it_stands(sles: FakeRoot) -> None:
    grub = sles.read("etc/default/grub").replace('GRUB_CMDLINE_LINUX=""', 'GRUB_CMDLINE_LINUX="crashkernel=64M quiet"')
    sles.write("etc/default/grub", grub.replace("net.ifnames=0", "crashkernel=48M,low crashkernel=64M,high"))
    sles.run("configure_kdump", crashkernel="256M")
    assert sles.read("etc/default/grub").count("crashkernel=") == 1
    assert sles.read(GRUB_CFG).count("crashkernel=") == 1
    assert 'GRUB_CMDLINE_LINUX=" quiet"' in sles.read("etc/default/grub")
    assert (originals(sles)["etc/default/grub"] or "").count("crashkernel=") == 3


@pytest.mark.parametrize(
    "before",
    ["crashkernel=72M,low crashkernel=100M,high", "crashkernel=100M,high crashkernel=72M,low", "crashkernel=64M"],
    ids=["yast", "high-first", "one"],
)
@pytest.mark.parametrize("name", ["sles15", "sles16"])
def test_pair_takes_the_place_of_all_that_was_there(tmp_path: Path, name: str, before: str) -> None:
    root = prepared_copy(name, tmp_path / "root", memory_mib=15_800)
    grub = root.read("etc/default/grub").replace("net.ifnames=0", f"{before} net.ifnames=0")
    root.write("etc/default/grub", grub)
    root.command("grub2-mkconfig", "-o", str(root.path / GRUB_CFG))
    root.boot(cmdline=root.next_cmdline(), reserved_mib=100)
    for _ in range(2):
        assert root.run("configure_kdump").result["status"] == "reboot-required"
        words = [word for word in root.next_cmdline().split() if word.startswith("crashkernel=")]
        assert words == ["crashkernel=201M,high", "crashkernel=72M,low"]
        assert root.read("etc/default/grub").count("crashkernel=") == 2
    root.reboot()
    assert root.run("configure_kdump").result["status"] == "unchanged"


def test_boot_service_of_kdump_2_does_not_undo_an_explicit_reservation(sles16: FakeRoot) -> None:
    sles16.run("configure_kdump", crashkernel="300M")
    sles16.reboot()
    assert " crashkernel=300M\n" in sles16.read(GRUB_CFG)


def test_reservation_that_was_there_is_kept_from_the_boot_service(sles16: FakeRoot) -> None:
    grub = sles16.read("etc/default/grub").replace("net.ifnames=0", "crashkernel=300M")
    sles16.write("etc/default/grub", grub)
    sles16.command("grub2-mkconfig", "-o", str(sles16.path / GRUB_CFG))
    sles16.boot(cmdline=sles16.next_cmdline(), reserved_mib=300)
    assert sles16.run("configure_kdump").result["crashkernel"] == "300M"
    sles16.reboot()
    assert sles16.read(GRUB_CFG).count("crashkernel=300M") == 1


def test_boot_loader_entries_are_written_anew(sles16: FakeRoot) -> None:
    """pbl changes /etc/kernel/cmdline only; sdbootutil carries it into the entries."""
    sles16.write("etc/sysconfig/bootloader", 'LOADER_TYPE="grub2-bls"\n')
    sles16.write("etc/kernel/cmdline", "root=UUID=c6d1a7b2 console=ttyS0 crashkernel=64M\n")
    entry = "boot/efi/loader/entries/system-sles-6.12.0-160000.5-default.conf"
    sles16.write(entry, "title SLES 16.0\noptions    root=UUID=c6d1a7b2 console=ttyS0 crashkernel=64M\nlinux /x\n")
    sles16.run("configure_kdump", crashkernel="256M")
    assert "options    root=UUID=c6d1a7b2 console=ttyS0 crashkernel=256M\n" in sles16.read(entry)


@pytest.mark.parametrize("loader", ["none", ""])
def test_boot_loader_that_pbl_leaves_alone_is_named(sles: FakeRoot, loader: str) -> None:
    sles.write("etc/sysconfig/bootloader", f'LOADER_TYPE="{loader}"\n')
    run = sles.run("configure_kdump")
    assert run.error == "ConfigurationFailed"
    assert "LOADER_TYPE" in run.stdout


def test_pbl_that_refuses_is_named(sles: FakeRoot) -> None:
    sles.write("pbl-refuses", "")
    assert "pbl.log" in sles.run("configure_kdump").stdout


def test_initrd_is_built_for_the_volume_before_the_reboot(sles: FakeRoot) -> None:
    sles.run("configure_kdump", reboot="true")
    assert (sles.path / INITRDS[sles.host.name]).exists()
    sles.reboot()
    assert len(sles.called("mkdumprd")) == 2
    if sles.host.name == "sles16":
        fstab = sles.read(INITRDS["sles16"])
        assert "/dev/disk/by-uuid/0a1b2c3d-0000-4000-8000-000000000001 /kdump/mnt/var/crash xfs" in fstab


def test_loaded_crash_kernel_is_loaded_again_when_its_configuration_changes(sles16: FakeRoot) -> None:
    sles16.run("configure_kdump")
    sles16.reboot()
    result = sles16.run("configure_kdump", dumpLevel="17").result
    assert (result["status"], "crash kernel loaded again" in result["changes"]) == ("configured", True)


@pytest.mark.parametrize(
    "line",
    [
        'KDUMP_SAVEDIR="nfs://server/export/crash"',
        'KDUMP_SAVEDIR="ssh://dump@server/crash"',
        'KDUMP_SAVEDIR="file:///var/crash cifs://server/share"',
        'KDUMP_TRANSFER="/root/send-it"',
    ],
)
def test_foreign_target_is_refused_before_anything_of_kdump_changes(sles: FakeRoot, line: str) -> None:
    sles.command("zypper", "install", "kdump")
    key = line.partition("=")[0]
    kept = [text for text in sles.read(CONFIGURATION).splitlines() if not text.startswith(key)]
    sles.write(CONFIGURATION, "\n".join([*kept, line, ""]))
    before = sles.read(CONFIGURATION)
    run = sles.run("configure_kdump")
    assert run.error == "ConfigurationFailed"
    assert line.split('"')[1] in run.stdout
    assert sles.read(CONFIGURATION) == before


def test_comments_and_foreign_settings_stay(sles: FakeRoot) -> None:
    sles.command("zypper", "install", "kdump")
    before = sles.read(CONFIGURATION).replace("KDUMP_CPUS=", "KDUMP_CPUS=7#")
    sles.write(CONFIGURATION, before)
    sles.run("configure_kdump")
    after = sles.read(CONFIGURATION).splitlines()
    kept = [line for line in before.splitlines() if line.startswith(("#", "KDUMP_CPUS", "KDUMP_KERNELVER"))]
    assert [line for line in after if line in kept] == kept
    assert originals(sles)[CONFIGURATION] == before


def test_package_is_waited_for_while_zypper_is_locked(sles: FakeRoot) -> None:
    sles.write("var/lib/zypp/times-locked", "2\n")
    assert sles.run("configure_kdump").exit_code == 0


def test_stale_repositories_are_refreshed(sles: FakeRoot) -> None:
    sles.write("var/lib/zypp/stale", "")
    assert sles.run("configure_kdump").exit_code == 0


def test_instance_without_repositories_is_told_what_to_do(sles: FakeRoot) -> None:
    sles.write("var/lib/zypp/no-repositories", "")
    run = sles.run("configure_kdump")
    assert run.error == "PackageUnavailable"
    assert "register it" in run.stdout
