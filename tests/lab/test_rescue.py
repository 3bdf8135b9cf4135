"""An instance powers itself off after its dump and stays off: a second real guest reads the vmcore from a copy."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab.account import LabAccount
from lab.aws.launches import Launch
from lab.demo.proof import Proof, prove
from lab.deployment import deploy_hangdump, synthesize_for_lab
from lab.guest import QemuGuest, wait_until
from lab.guest.saved_state import restored
from lab.machine import Completed
from tests.lab.conftest import DUMP_VOLUME

pytestmark = pytest.mark.guest

COLLECT_SECONDS = 600
SETTINGS = {"pollSeconds": 1, "dumpTimeoutSeconds": 400}
_POWER_OFF_AFTER_DUMP = Path(__file__).with_name("power_off_after_dump.sh").read_text()
# The disk is plugged a moment before its file system is known.
_MOUNT = "#!/bin/bash\nfor _ in {1..60}; do mount /var/crash && exit 0; sleep 0.5; done; exit 1\n"


class Collector(QemuGuest):
    """Remembers what the file was that it sent."""

    digest = ""
    mount = ""

    def run(self, script: str, *, environment: Mapping[str, str], timeout_seconds: float) -> Completed:
        if environment.get("SSM_action") == "upload" and not self.digest:
            look = '#!/bin/bash\nsha256sum "$SSM_vmcorePath"; findmnt -no OPTIONS "$SSM_mountPoint"\n'
            seen = super().run(look, environment=environment, timeout_seconds=60).stdout.split()
            self.digest, self.mount = seen[0], seen[2]
        return super().run(script, environment=environment, timeout_seconds=timeout_seconds)


@dataclass
class Region:
    """The account, a victim in it, and the collectors that were launched beside it."""

    account: LabAccount
    victim: QemuGuest
    instance_id: str
    volume_id: str
    outputs: dict[str, str]
    collectors: list[Collector] = field(default_factory=list)

    def tagged(self, kind: str) -> list[Any]:
        """What a rescue of the victim made and is there."""
        mark = [{"Name": "tag:hangdump:rescue-of", "Values": [self.instance_id]}]
        described: dict[str, Any] = getattr(self.account.client("ec2"), f"describe_{kind}")(Filters=mark)
        return list(described["Reservations" if kind == "instances" else kind.capitalize()])


def _attach_dump_volume(account: LabAccount, victim: QemuGuest, instance_id: str) -> str:
    """The disk of the saved state becomes a volume of the account."""
    victim.detach_disk(DUMP_VOLUME)
    ec2 = account.client("ec2")
    tags = [{"Key": "hangdump:instance-id", "Value": instance_id}, {"Key": "hangdump:stack", "Value": "Hangdump"}]
    volume_id: str = ec2.create_volume(
        AvailabilityZone=f"{account.region}a",
        Size=4,
        VolumeType="gp3",
        Encrypted=True,
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
    )["VolumeId"]
    (victim.volumes / f"{DUMP_VOLUME}.qcow2").rename(victim.volumes / f"{volume_id}.qcow2")
    wait_until(
        lambda: ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"] == "available",
        what="the volume is available",
        timeout_seconds=30,
    )
    ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    wait_until(lambda: volume_id in victim.attached_volumes, what="the volume is attached", timeout_seconds=30)
    done = victim.run(_MOUNT, environment={}, timeout_seconds=60)
    assert done.exit_code == 0, done
    return volume_id


@pytest.fixture(scope="module")
def region(armed_state: Path, guest_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """The stack, and an armed guest that EC2 does not start again once it is off."""
    work = tmp_path_factory.mktemp("rescue")
    volumes = work / "volumes"
    with ExitStack() as stack:
        account = stack.enter_context(LabAccount())
        port = account.instance_port
        outputs = deploy_hangdump(account, lambda: synthesize_for_lab(work / "cdk.out", SETTINGS))
        victim = stack.enter_context(restored(armed_state, work / "victim", s3_port=port, volumes=volumes))
        done = victim.run(_POWER_OFF_AFTER_DUMP, environment={}, timeout_seconds=60)
        assert done.exit_code == 0, done
        tags = {"hangdump:enrolled": "true", "hangdump:ready": datetime.now(UTC).isoformat()}
        instance_id = account.add_instance(victim, tags=tags)
        volume_id = _attach_dump_volume(account, victim, instance_id)
        account.computer(instance_id).refuses_to_start = "InsufficientInstanceCapacity"
        region = Region(account, victim, instance_id, volume_id, outputs)

        def launch(launch: Launch) -> QemuGuest:
            guest = Collector(work / launch.instance_id, disk=guest_image, s3_port=port, volumes=volumes)
            region.collectors.append(stack.enter_context(guest))
            return guest

        account.launch_with(launch)
        yield region


@dataclass(frozen=True)
class Rescued:
    verdict: dict[str, Any]
    vmcore: Path
    proof: Proof
    volume_when_it_stopped: str
    volume_at_the_end: str


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture(scope="module")
def rescued(region: Region, tmp_path_factory: pytest.TempPathFactory) -> Rescued:
    """One diagnostic interrupt, and what became of it."""
    account, began = region.account, datetime.now(UTC)
    disk = region.victim.volumes / f"{region.volume_id}.qcow2"
    execution = account.start_execution("CollectVmcore", {"instanceId": region.instance_id, "interrupt": True})
    account.events.wait_for("ec2", f"{region.instance_id} instance stopped", timeout_seconds=COLLECT_SECONDS)
    when_it_stopped = _digest(disk)
    ended = account.wait_for_execution(execution, timeout_seconds=COLLECT_SECONDS)
    assert ended["status"] == "SUCCEEDED", (ended, [each.console()[-2000:] for each in region.collectors])
    vmcore = tmp_path_factory.mktemp("download") / "vmcore"
    bucket, key = region.outputs["VmcoreBucketName"], ended["output"]["keys"]["vmcore"]
    account.client("s3").download_file(bucket, key, str(vmcore))
    proof = prove(vmcore, hung_at=began, collected_at=datetime.now(UTC))
    return Rescued(ended["output"], vmcore, proof, when_it_stopped, _digest(disk))


def test_a_second_guest_brings_the_vmcore_to_the_bucket(region: Region, rescued: Rescued) -> None:
    assert rescued.verdict["verdict"] == "rescued"
    assert "could not be started" in rescued.verdict["reason"]
    assert rescued.proof.panic_line == "NMI: Not continuing"
    (collector,) = region.collectors
    assert _digest(rescued.vmcore) == collector.digest
    assert collector.mount.startswith("ro,")


def test_the_dump_volume_stays_as_the_instance_left_it(region: Region, rescued: Rescued) -> None:
    assert rescued.volume_at_the_end == rescued.volume_when_it_stopped
    (volume,) = region.account.client("ec2").describe_volumes(VolumeIds=[region.volume_id])["Volumes"]
    assert volume["Attachments"][0]["InstanceId"] == region.instance_id
    assert not region.victim.is_running()


def test_nothing_is_left_of_the_rescue(region: Region, rescued: Rescued) -> None:
    assert region.tagged("snapshots") == []
    assert region.tagged("volumes") == []
    states = [each["State"]["Name"] for found in region.tagged("instances") for each in found["Instances"]]
    assert states == ["terminated"]
    assert not region.collectors[0].is_running()
