"""An instance powers itself off after its dump and stays off: a second real guest reads the vmcore from a copy."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab.demo.proof import Proof, prove
from tests.guest.region import EXECUTION_SECONDS, Collector, Region, Victim, digest_of, hangdump_region

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1500)]

_POWER_OFF_AFTER_DUMP = Path(__file__).with_name("power_off_after_dump.sh").read_text()


@pytest.fixture(scope="module")
def region(armed_state: Path, guest_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with hangdump_region(tmp_path_factory.mktemp("rescue"), armed=armed_state, image=guest_image) as region:
        yield region


@pytest.fixture(scope="module")
def victim(region: Region) -> Iterator[Victim]:
    """EC2 does not start it again once it is off."""
    with region.victim(_POWER_OFF_AFTER_DUMP) as victim:
        region.account.computer(victim.instance_id).refuses_to_start = "InsufficientInstanceCapacity"
        yield victim


@dataclass(frozen=True)
class Rescued:
    verdict: dict[str, Any]
    vmcore: Path
    proof: Proof
    collector: Collector
    volume_when_it_stopped: str
    volume_at_the_end: str


@pytest.fixture(scope="module")
def rescued(region: Region, victim: Victim, tmp_path_factory: pytest.TempPathFactory) -> Rescued:
    """One diagnostic interrupt, and what became of it."""
    began = datetime.now(UTC)
    execution = region.interrupt_and_collect(victim)
    stopped = f"{victim.instance_id} instance stopped"
    region.account.events.wait_for("ec2", stopped, timeout_seconds=EXECUTION_SECONDS)
    when_it_stopped = digest_of(victim.disk)
    ended = region.wait_for(execution)
    assert ended["status"] == "SUCCEEDED", (ended, [each.console()[-2000:] for each in region.guests])
    vmcore = region.download(ended["output"]["keys"]["vmcore"], tmp_path_factory.mktemp("download") / "vmcore")
    proof = prove(vmcore, hung_at=began, collected_at=datetime.now(UTC))
    (collector,) = region.collectors
    return Rescued(ended["output"], vmcore, proof, collector, when_it_stopped, digest_of(victim.disk))


def test_a_second_guest_brings_the_vmcore_to_the_bucket(rescued: Rescued) -> None:
    assert rescued.verdict["verdict"] == "rescued"
    assert "could not be started" in rescued.verdict["reason"]
    assert rescued.proof.panic_line == "NMI: Not continuing"
    assert digest_of(rescued.vmcore) == rescued.collector.digest
    assert rescued.collector.mount.startswith("ro,")


def test_the_dump_volume_stays_as_the_instance_left_it(region: Region, victim: Victim, rescued: Rescued) -> None:
    assert rescued.volume_at_the_end == rescued.volume_when_it_stopped
    (volume,) = region.account.client("ec2").describe_volumes(VolumeIds=[victim.volume_id])["Volumes"]
    assert volume["Attachments"][0]["InstanceId"] == victim.instance_id
    assert not victim.guest.is_running()


def test_nothing_is_left_of_the_rescue(region: Region, victim: Victim, rescued: Rescued) -> None:
    assert region.left_of_rescues(victim.instance_id) == []
    assert not rescued.collector.is_running()
    assert region.interrupts_sent_to(victim) == 1
