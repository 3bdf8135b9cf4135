"""What goes wrong while a real kernel dumps, or right after it: each ends in a named verdict by one interrupt of ours.

A dump that is complete is kept, on its volume or in the bucket; one that is not is never taken for one.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.guest import wait_until
from tests.guest.region import Collector, Region, Victim, digest_of, hangdump_region

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1500)]

# The dump has 30 MB and more: at this speed there is a middle to it.
SLOW_BYTES_PER_SECOND = 1 << 20
MIDDLE_BYTES = 8 << 20
DUMP_SECONDS = 300
_DUMPS = "find /var/crash -name 'dump*' -printf '%f\\n'"


def _script(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sh").read_text()


@pytest.fixture(scope="module")
def region(armed_state: Path, guest_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with hangdump_region(tmp_path_factory.mktemp("faults"), armed=armed_state, image=guest_image) as region:
        yield region


@pytest.fixture
def dumping(region: Region) -> Iterator["Dumping"]:
    """A guest in the middle of its dump, after our interrupt."""
    with region.victim(_script("dump_slowly")) as victim:
        victim.guest.limit_writes(victim.volume_id, SLOW_BYTES_PER_SECOND)
        before = victim.disk.stat().st_blocks * 512
        dumping = Dumping(region, victim, region.interrupt_and_collect(victim), before)
        try:
            wait_until(
                dumping.is_in_the_middle,
                what="the middle of the dump",
                timeout_seconds=DUMP_SECONDS,
                interval_seconds=0.2,
            )
        except TimeoutError:
            assert region.end_of(dumping.execution) is None
            raise
        yield dumping


@dataclass
class Dumping:
    """An instance that dumps, and the execution that watches it."""

    region: Region
    victim: Victim
    execution: str
    bytes_before: int

    def is_in_the_middle(self) -> bool:
        """By the disk: the console shows makedumpfile's percents when it has ended, as the journal waits for a line."""
        written = self.victim.disk.stat().st_blocks * 512 - self.bytes_before
        return "running makedumpfile -l" in self.victim.news() and written >= MIDDLE_BYTES

    def end(self) -> dict[str, Any]:
        """Of the execution; it was in the middle of its dump when the fault came."""
        assert "dumpfile is saved" not in self.victim.news()
        return self.region.wait_for(self.execution)


def assert_no_dump_was_taken_for_one(region: Region, victim: Victim, ended: dict[str, Any], verdict: str) -> None:
    """Everybody is told the same, and the bucket has what there is instead: the console, the report."""
    assert (ended["status"], ended["error"]) == ("FAILED", verdict), ended
    objects = region.keys_of(victim.instance_id)
    assert "vmcore" not in objects
    assert {"incident.json", "report.html", "console.txt"} <= objects.keys()
    _assert_ended_well(region, victim, verdict)


def assert_rescued(region: Region, victim: Victim, ended: dict[str, Any], to: Path) -> None:
    """The bucket has what the collector read, which had the copy read-only."""
    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["verdict"] == "rescued"
    assert "NMI: Not continuing" in ended["output"]["panicLine"]
    collector = _collector(region)
    vmcore = region.download(region.keys_of(victim.instance_id)["vmcore"], to / "vmcore")
    assert digest_of(vmcore) == collector.digest
    assert collector.mount.startswith("ro,")
    _assert_ended_well(region, victim, "rescued")


def _assert_ended_well(region: Region, victim: Victim, verdict: str) -> None:
    assert region.incident_of(victim)["verdict"] == verdict
    subjects = [each.subject for each in region.account.notifications if victim.instance_id in each.subject]
    assert len(subjects) == 2, subjects
    assert "was interrupted" in subjects[0]
    assert verdict in subjects[1]
    assert region.interrupts_sent_to(victim) == 1
    assert region.left_of_rescues(victim.instance_id) == []
    (volume,) = region.account.client("ec2").describe_volumes(VolumeIds=[victim.volume_id])["Volumes"]
    assert {"Key": "hangdump:instance-id", "Value": victim.instance_id} in volume["Tags"]


def _collector(region: Region) -> Collector:
    """The last that was launched."""
    return region.collectors[-1]


def test_power_cut_in_the_middle_of_the_dump_is_incomplete(region: Region, dumping: Dumping) -> None:
    """EC2 starts it again; what was written stays, the kernel's log is in the bucket."""
    victim = dumping.victim
    os.kill(victim.guest.process_id, signal.SIGKILL)

    ended = dumping.end()

    assert_no_dump_was_taken_for_one(region, victim, ended, "incomplete")
    assert "vmcore-dmesg.txt" in region.keys_of(victim.instance_id)
    assert victim.run(_DUMPS).split() == ["dump-incomplete"]


def test_second_nmi_in_the_middle_of_the_dump_is_incomplete(region: Region, dumping: Dumping) -> None:
    """Somebody else's; the crash kernel of a guest that was armed by hand panics of it, and stays so."""
    victim = dumping.victim
    victim.guest.inject_nmi()
    region.let_the_wait_be_over(victim)

    ended = dumping.end()

    assert_no_dump_was_taken_for_one(region, victim, ended, "incomplete")


def test_volume_detached_by_force_in_the_middle_of_the_dump_is_incomplete(region: Region, dumping: Dumping) -> None:
    """The instance comes back without it; what was written is read from the volume."""
    victim = dumping.victim
    region.account.client("ec2").detach_volume(VolumeId=victim.volume_id, InstanceId=victim.instance_id, Force=True)

    ended = dumping.end()

    assert_no_dump_was_taken_for_one(region, victim, ended, "incomplete")


def test_dump_volume_that_is_full_is_incomplete(region: Region) -> None:
    fill = "fallocate -l $(($(df --output=avail -k /var/crash | tail -n 1) - 8192))K /var/crash/filler; sync"
    with region.victim(fill) as victim:
        ended = region.wait_for(region.interrupt_and_collect(victim))

        assert_no_dump_was_taken_for_one(region, victim, ended, "incomplete")
        assert victim.run(_DUMPS) != ""
        assert victim.run("ls /var/crash/filler") != ""


def test_agent_that_is_dead_after_the_reboot_leads_to_a_rescue(region: Region, tmp_path: Path) -> None:
    with region.victim(_script("no_agent_at_next_boot")) as victim:
        execution = region.interrupt_and_collect(victim)
        wait_until(lambda: "booted without an agent" in victim.news(), what="a boot", timeout_seconds=DUMP_SECONDS)
        region.let_the_wait_be_over(victim)

        ended = region.wait_for(execution)

        assert_rescued(region, victim, ended, tmp_path)
        assert victim.guest.is_running()


def test_boot_loop_after_the_dump_leads_to_a_rescue(region: Region, tmp_path: Path) -> None:
    with region.victim(_script("reboot_early_at_every_boot")) as victim:
        execution = region.interrupt_and_collect(victim)
        wait_until(
            lambda: victim.news().count("boots in a loop") >= 2, what="a second boot", timeout_seconds=DUMP_SECONDS
        )
        region.let_the_wait_be_over(victim)

        ended = region.wait_for(execution)

        assert_rescued(region, victim, ended, tmp_path)
