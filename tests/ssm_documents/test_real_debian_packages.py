"""The documents against the real packages of Debian 12: prepared, configured, rebooted, checked, broken, mended.

Without a kernel of its own: what real_root/ cannot make real is in ARCHITECTURE.md's table.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ssm_documents.fake_root import VOLUME_ID
from tests.ssm_documents.real_root.host import RealRoot
from tests.ssm_documents.real_root.story import NEEDS_REAL_ROOT, Story, booted, launched
from tests.ssm_documents.spoiling import add_line
from tests.ssm_documents.spoils import Spoil, spoils_of

pytestmark = NEEDS_REAL_ROOT
# What the packages of Debian 12 cannot have.
NOT_HERE = {
    "estimate-grew": "kdump-config estimates from 1.10 on; Debian 12 has 1.8.1",
    "arm64-without-the-symbol-that-kexec-needs": "this root is of x86_64, as its /proc is",
    "arm64-with-addresses-of-52-bits": "this root is of x86_64, as its /proc is",
}
SPOILS = [
    pytest.param(name, marks=pytest.mark.skip(NOT_HERE[name]) if name in NOT_HERE else [])
    for name in spoils_of("debian")
]
CONFIGURATION = "etc/default/kdump-tools"
GRUB_D = "etc/default/grub.d/kdump-tools.cfg"


@pytest.fixture
def ready(story: Story, tmp_path: Path) -> Iterator[RealRoot]:
    """A copy of the host that was made ready, booted."""
    with booted(story.disks, tmp_path) as root:
        yield root


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RealRoot]:
    """A freshly launched instance, booted."""
    with booted(launched(tmp_path), tmp_path) as root:
        yield root


def _findings(root: RealRoot, **given: str) -> list[dict[str, Any]]:
    findings: list[dict[str, Any]] = root.run("check_kdump", volumeId=VOLUME_ID, **given).result["findings"]
    return findings


def _codes(root: RealRoot, **given: str) -> list[str]:
    return [finding["code"] for finding in _findings(root, **given)]


# --- made ready


def test_host_is_ready_after_the_reboot_and_everything_was_done_by_real_tools(story: Story) -> None:
    assert story.prepared.result["status"] == "prepared"
    assert story.configured_before.exit_code == 194, story.configured_before.stderr
    lines = re.findall(r"^\s*linux\s.*", story.grub_cfg, re.MULTILINE)
    assert lines
    # GRUB's recovery entries leave GRUB_CMDLINE_LINUX_DEFAULT out.
    assert all("crashkernel=0-2G:192M" in line for line in lines if " single" not in line)
    assert story.configured_after.result["status"] == "configured"
    assert story.checked.result["findings"] == []
    assert story.checked.result["ready"] is True


def test_configuring_again_changes_nothing(ready: RealRoot) -> None:
    before = ready.tree()
    assert ready.run("configure_kdump", reboot="true").result["status"] == "unchanged"
    assert ready.run("prepare_dump_volume", volumeId=VOLUME_ID).result["status"] == "unchanged"
    assert ready.tree() == before


def test_kexec_gets_the_running_kernel_with_its_initrd_and_a_command_line_that_reboots(ready: RealRoot) -> None:
    (ready.path / "run/kexec-arguments").unlink()
    ready.shell("systemctl restart kdump-tools")
    arguments = ready.read("run/kexec-arguments").strip()
    assert arguments.startswith("-p ")
    assert arguments.endswith("/var/lib/kdump/vmlinuz")
    assert "--initrd=/var/lib/kdump/initrd.img" in arguments
    assert "panic=10" in arguments
    assert "systemd.unit=kdump-tools-dump.service" in arguments
    assert "crashkernel=" not in arguments
    release = ready.host.kernel
    assert ready.shell("readlink -f /var/lib/kdump/vmlinuz /var/lib/kdump/initrd.img").stdout.split() == [
        f"/boot/vmlinuz-{release}",
        f"/var/lib/kdump/initrd.img-{release}",
    ]


def test_kdump_config_agrees_that_the_host_is_ready(ready: RealRoot) -> None:
    shown = ready.shell("kdump-config show").stdout
    assert "current state:    ready to kdump" in shown
    tested = ready.shell("kdump-config test").stdout
    assert "/sbin/kexec -p" in tested


def test_crash_kernel_has_the_drivers_of_the_dump_volume(ready: RealRoot) -> None:
    release = ready.host.kernel
    listed = ready.shell(f"lsinitramfs /var/lib/kdump/initrd.img-{release}").stdout
    built_in = ready.read(f"lib/modules/{release}/modules.builtin")
    assert "scripts/local-bottom/kdump-sysctl" in listed
    assert "/nvme.ko" in listed + built_in


def test_systemd_understands_each_unit_and_drop_in(ready: RealRoot) -> None:
    """The crash kernel boots this root: a line that systemd skips would show only then."""
    units = "kdump-tools-dump.service kdump-tools.service hangdump-ready.service systemd-sysctl.service"
    verify = f"systemd-analyze verify --man=no {units}"
    assert "hangdump" not in ready.shell(verify, check=False).stdout
    for unit in ("kdump-tools-dump.service", "systemd-sysctl.service"):
        add_line(ready, f"etc/systemd/system/{unit}.d/hangdump.conf", "NoSuchSetting=1")
        assert f"{unit}.d/hangdump.conf" in ready.shell(verify, check=False).stdout


def test_boot_mounts_the_dump_volume_by_a_unit_of_the_name_that_the_dump_waits_for(ready: RealRoot) -> None:
    ready.shell("mkdir /run/units; cd /run/units; /usr/lib/systemd/system-generators/systemd-fstab-generator . . .")
    unit = ready.read("run/units/var-crash.mount")
    assert "Where=/var/crash" in unit
    assert "nofail" in unit
    drop_in = ready.read("etc/systemd/system/kdump-tools-dump.service.d/hangdump.conf")
    assert "After=var-crash.mount" in drop_in


def test_boot_says_on_the_console_that_kdump_is_loaded(ready: RealRoot) -> None:
    checked = ready.run("check_kdump", volumeId=VOLUME_ID).result
    expected = f"hangdump-ready boot={checked['bootId']} kernel={ready.host.kernel} config={checked['configId']}"
    assert expected in ready.read("dev/console")


# --- broken


@pytest.mark.parametrize("name", SPOILS)
def test_each_fault_is_found_and_only_that(ready: RealRoot, name: str) -> None:
    spoil: Spoil = spoils_of("debian")[name]
    spoil.do(ready)
    assert _codes(ready, **spoil.given) == [spoil.code]


def test_size_that_the_package_gave_back_is_found_and_set_again(ready: RealRoot) -> None:
    # dpkg leaves a conffile alone whose package is the same, unless it is asked to ask.
    given_back = "DEBIAN_FRONTEND=noninteractive dpkg --force-confask,confnew -i /opt/apt/kdump-tools_*.deb"
    ready.shell(given_back)
    assert "384M-:128M" in ready.read(GRUB_D)
    assert "reservation-too-small" in _codes(ready)
    assert ready.run("configure_kdump").result["changes"]
    ready.reboot()
    assert _codes(ready) == []


def test_compression_of_the_whole_dump_is_taken_away(ready: RealRoot) -> None:
    add_line(ready, CONFIGURATION, "KDUMP_COMPRESSION=gzip # saves room")
    assert _codes(ready) == ["family-configuration-missing"]
    assert ready.run("configure_kdump").result["changes"] == [f"/{CONFIGURATION}"]
    assert ready.shell(f'. /{CONFIGURATION}; echo "[$KDUMP_COMPRESSION]"').stdout == "[]\n"
    assert _codes(ready) == []


@pytest.mark.parametrize("unit", ["kdump-tools.service", "kdump-tools-dump.service"])
def test_masked_unit_is_refused_before_anything_is_changed(ready: RealRoot, unit: str) -> None:
    ready.set_unit(unit, "masked")
    before = ready.tree()
    run = ready.run("configure_kdump", crashkernel="512M")
    assert run.error == "ConfigurationFailed"
    assert f"systemctl unmask {unit}" in run.stdout
    assert ready.tree() == before
    ready.shell(f"systemctl unmask {unit}")
    assert _codes(ready) == []


def test_real_sysctl_reads_the_files_as_the_check_does(ready: RealRoot) -> None:
    """`sysctl --system` and systemd-sysctl both take the last file by name; it writes to the files put over /proc."""
    ready.write("etc/sysctl.d/99-sysctl-owner.conf", "-kernel.unknown_nmi_panic = 0\n")
    (finding,) = _findings(ready)
    assert finding["code"] == "sysctl-not-persistent"
    ready.shell("/usr/lib/systemd/systemd-sysctl", check=False)
    assert ready.read("proc/sys/kernel/unknown_nmi_panic").strip() == "0"
    (ready.path / "etc/sysctl.d/99-sysctl-owner.conf").unlink()
    ready.shell("/usr/lib/systemd/systemd-sysctl", check=False)
    assert ready.read("proc/sys/kernel/unknown_nmi_panic").strip() == "1"


def test_panic_on_an_oops_that_kdump_tools_itself_switches_on_is_no_finding(ready: RealRoot) -> None:
    assert ready.run("configure_kdump", panic_on_oops="0").exit_code == 0
    ready.reboot()
    assert ready.read("proc/sys/kernel/panic_on_oops").strip() == "1"
    assert _codes(ready) == []


# --- the dump volume


@pytest.mark.parametrize("file_system", ["xfs", "ext4"])
def test_file_system_is_one_that_an_older_collector_can_mount(fresh: RealRoot, file_system: str) -> None:
    result = fresh.run("prepare_dump_volume", volumeId=VOLUME_ID, fileSystem=file_system).result
    assert result["status"] == "prepared"
    assert result["partition"] == "/dev/nvme1n1p1"
    assert f" /var/crash {file_system} " in fresh.shell("cat /proc/self/mounts").stdout
    if file_system == "xfs":
        described = fresh.shell("xfs_info /var/crash").stdout
        assert not re.search(r"\b(parent|exchange)=1", described)
    else:
        features = fresh.shell("dumpe2fs -h /dev/nvme1n1p1 2>/dev/null | sed -n 's/^Filesystem features: *//p'").stdout
        assert not {"orphan_file", "casefold", "encrypt", "verity"} & set(features.split())
    assert fresh.run("prepare_dump_volume", volumeId=VOLUME_ID, fileSystem=file_system).result["status"] == "unchanged"


@pytest.mark.parametrize(
    "made",
    [
        "mkfs.ext4 -q -F /dev/nvme1n1",
        "mkswap /dev/nvme1n1",
        "echo data | dd of=/dev/nvme1n1 bs=1M seek=100 conv=notrunc",
    ],
    ids=["file-system", "swap", "bytes"],
)
def test_volume_with_data_is_refused_and_untouched(fresh: RealRoot, made: str) -> None:
    fresh.shell(made)
    digest = "dd if=/dev/nvme1n1 bs=1M count=64 status=none | sha256sum"
    before = fresh.shell(digest).stdout
    assert fresh.run("prepare_dump_volume", volumeId=VOLUME_ID).error == "DeviceHoldsData"
    assert fresh.shell(digest).stdout == before
