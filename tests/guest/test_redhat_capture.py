"""The RHEL-like path on a real kernel: what the documents write is read by a kdumpctl as strict as the real one, and a
hang ends in the layout of the family. Minutes, not seconds.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab.demo.proof import prove
from lab.guest import QemuGuest, hang, wait_until
from lambdas.collect.console_progress import read_progress
from tests.guest.agent import BOOT_SECONDS, Agent
from tests.guest.conftest import UploadSink
from tests.guest.redhat_stand_in import become_redhat

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]
VOLUME_ID = "vol-0d0c5000000000003"
# The stand-in's own suggestion for 1 GiB, as RHEL 9's kdumpctl says it.
RESERVED_BYTES = 192 << 20


@pytest.fixture(scope="module")
def guest(guest_image: Path, upload_sink: UploadSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QemuGuest]:
    """One guest for the whole story; the tests below are its chapters, in order."""
    with QemuGuest(tmp_path_factory.mktemp("guest"), disk=guest_image, s3_port=upload_sink.port) as guest:
        guest.start()
        guest.wait_until_answers(BOOT_SECONDS)
        become_redhat(guest)
        guest.attach_disk(VOLUME_ID, 4, "/dev/sdf")
        yield guest


@pytest.fixture(scope="module")
def agent(guest: QemuGuest) -> Agent:
    return Agent(guest)


def test_is_ready_after_the_one_reboot_that_it_was_allowed(agent: Agent) -> None:
    assert agent.run("prepare_dump_volume", volumeId=VOLUME_ID)["status"] == "prepared"
    report = agent.run("configure_kdump", reboot="true")
    assert (report["status"], report["family"], agent.reboots) == ("configured", "redhat", 1)
    verdict = agent.run("check_kdump", volumeId=VOLUME_ID)
    assert (verdict["findings"], verdict["ready"]) == ([], True)
    assert verdict["crashkernelBytes"] == RESERVED_BYTES


def test_boots_from_what_grub2_mkconfig_wrote(agent: Agent) -> None:
    [command_line] = agent.shell("cat /proc/cmdline").splitlines()
    assert command_line.count("crashkernel=") == 1
    assert "unknown_nmi_panic" not in command_line
    entries = [line.split()[2:] for line in agent.shell("grep '^[[:space:]]*linux' /boot/grub2/grub.cfg").splitlines()]
    assert command_line.split()[1:] in entries


def test_running_it_again_changes_nothing(agent: Agent) -> None:
    assert agent.run("prepare_dump_volume", volumeId=VOLUME_ID)["status"] == "unchanged"
    report = agent.run("configure_kdump", reboot="true")
    assert (report["status"], report["changes"], agent.reboots) == ("unchanged", [], 1)


@pytest.fixture(scope="module")
def dumped(agent: Agent) -> dict[str, Any]:
    """A hang, one NMI, and what `find` reports once the guest is back; with the time of the hang."""
    # The boot after the dump has to make the crash initramfs anew, as after an update of the kernel.
    agent.shell("touch /etc/kdump.conf && sync")
    old_boot, baseline = agent.guest.boot_id(), len(agent.guest.console())
    hung_at = datetime.now(UTC)
    hang(agent.guest)
    started = time.monotonic()
    agent.guest.inject_nmi()
    wait_until(lambda: agent.is_back(old_boot), timeout_seconds=BOOT_SECONDS, what="the guest is back from its dump")
    print(f"NMI to online again: {time.monotonic() - started:.0f} s")
    found = agent.run("upload_vmcore", since=str(int(hung_at.timestamp())))
    return {"found": found, "hung_at": hung_at, "console": agent.guest.console()[baseline:]}


def test_hang_ends_in_a_complete_dump_on_the_dump_volume(agent: Agent, dumped: dict[str, Any]) -> None:
    assert dumped["found"]["status"] == "complete"
    vmcore, dmesg = dumped["found"]["vmcore"]["path"], dumped["found"]["dmesg"]["path"]
    directory = f"/var/crash/127.0.0.1-{dumped['hung_at']:%Y-%m-%d}-"
    assert (vmcore.startswith(directory), vmcore.rsplit("/", 1)[1]) == (True, "vmcore")
    assert dmesg == vmcore.replace("/vmcore", "/vmcore-dmesg.txt")
    assert agent.shell(f"findmnt -n -o TARGET --target {vmcore}").strip() == "/var/crash"
    assert "Kernel panic - not syncing: NMI: Not continuing" in agent.shell(f"cat {dmesg}")


def test_console_of_the_crash_kernel_tells_that_the_vmcore_is_saved(dumped: dict[str, Any]) -> None:
    assert read_progress(dumped["console"], baseline=None).phase == "saved"


def test_dump_opens_with_the_panic_of_this_hang(
    agent: Agent, dumped: dict[str, Any], upload_sink: UploadSink, tmp_path: Path
) -> None:
    agent.shell(f"curl -sf -T {dumped['found']['vmcore']['path']} http://10.0.2.100/redhat-vmcore")
    vmcore = tmp_path / "vmcore"
    vmcore.write_bytes(upload_sink.objects["/redhat-vmcore"])
    prove(vmcore, hung_at=dumped["hung_at"], collected_at=datetime.now(UTC))


def test_boot_that_makes_the_initramfs_anew_waits_for_the_dump_target(agent: Agent, dumped: dict[str, Any]) -> None:
    """With nofail alone kdump.service starts seconds too early, and kdumpctl refuses a target that is not mounted."""
    assert agent.run("configure_kdump")["status"] in ("configured", "unchanged")
    journal = agent.shell("journalctl -b -u kdump.service")
    assert "Rebuilding" in journal
    # configure_kdump itself would have started a service again that had given up.
    assert "[FAILED]" not in journal
    assert agent.run("check_kdump", volumeId=VOLUME_ID)["ready"] is True
