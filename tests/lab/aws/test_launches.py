"""Snapshots that are copies, and RunInstances that makes a machine with disks of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount
from lab.aws.launches import Launch
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.waiting import eventually

AMAZON_LINUX = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
TAGS = [{"Key": "of", "Value": "a rescue"}]


class Fleet:
    """Makes the machines, and keeps what was asked."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.machines: list[ScriptedMachine] = []

    def __call__(self, launch: Launch) -> ScriptedMachine:
        self.launches.append(launch)
        self.machines.append(ScriptedMachine(is_on=False))
        return self.machines[-1]


@pytest.fixture
def fleet(account: LabAccount) -> Iterator[Fleet]:
    fleet = Fleet()
    account.launch_with(fleet)
    yield fleet
    account.launch_with(None)
    account.refuse("RunInstances", "")
    account.refuse("CreateSnapshot", "")
    account.break_snapshots(are_broken=False)


def _machine_with_volume(account: LabAccount) -> tuple[ScriptedMachine, str]:
    machine, ec2 = ScriptedMachine(), account.client("ec2")
    instance_id = account.add_instance(machine)
    volume_id = ec2.create_volume(AvailabilityZone=f"{account.region}a", Size=8, VolumeType="gp3")["VolumeId"]
    assert eventually(lambda: ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"] == "available")
    ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    assert eventually(lambda: volume_id in machine.disks)
    return machine, volume_id


def _snapshot(account: LabAccount, volume_id: str) -> str:
    ec2 = account.client("ec2")
    specifications = [{"ResourceType": "snapshot", "Tags": TAGS}]
    created = ec2.create_snapshot(VolumeId=volume_id, Description="a copy", TagSpecifications=specifications)
    assert created["State"] == "pending"
    snapshot_id: str = created["SnapshotId"]
    return snapshot_id


def _state_of(account: LabAccount, snapshot_id: str) -> str:
    described = account.client("ec2").describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
    state: str = described[0]["State"]
    return state


def _launch(account: LabAccount, snapshot_id: str, **more: Any) -> dict[str, Any]:
    mapping = {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": snapshot_id, "DeleteOnTermination": True}}
    launched: dict[str, Any] = account.client("ec2").run_instances(
        ImageId=AMAZON_LINUX,
        InstanceType="m5.large",
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[mapping],
        TagSpecifications=[{"ResourceType": kind, "Tags": TAGS} for kind in ("instance", "volume")],
        **more,
    )["Instances"][0]
    return launched


def _volumes_with_our_tag(account: LabAccount) -> list[str]:
    filters = [{"Name": "tag:of", "Values": ["a rescue"]}]
    return [each["VolumeId"] for each in account.client("ec2").describe_volumes(Filters=filters)["Volumes"]]


def test_a_snapshot_is_a_copy_of_the_disk_that_completes_later(account: LabAccount, fleet: Fleet) -> None:
    machine, volume_id = _machine_with_volume(account)

    snapshot_id = _snapshot(account, volume_id)

    assert eventually(lambda: _state_of(account, snapshot_id) == "completed")
    assert machine.copies == {snapshot_id: volume_id}
    account.client("ec2").delete_snapshot(SnapshotId=snapshot_id)
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
        account.client("ec2").delete_snapshot(SnapshotId=snapshot_id)


def test_an_instance_starts_with_the_disk_of_the_snapshot_which_goes_with_it(account: LabAccount, fleet: Fleet) -> None:
    _, volume_id = _machine_with_volume(account)
    snapshot_id = _snapshot(account, volume_id)
    assert eventually(lambda: _state_of(account, snapshot_id) == "completed")

    launched = _launch(account, snapshot_id, ClientToken="one", UserData="# of one")
    again = _launch(account, snapshot_id, ClientToken="one")

    assert again["InstanceId"] == launched["InstanceId"]
    (machine,) = fleet.machines
    assert eventually(machine.is_running)
    (launch,) = fleet.launches
    assert launch.image_id.startswith("ami-")
    assert (launch.instance_type, launch.user_data) == ("m5.large", "# of one")
    assert launch.launched_at.endswith("Z")
    (disk,) = machine.disks.values()
    assert (disk.snapshot_id, disk.device, disk.size_gib) == (snapshot_id, "/dev/sdf", 8)
    # The root, which the image brings, is tagged as well.
    assert len(_volumes_with_our_tag(account)) == 2
    account.client("ec2").terminate_instances(InstanceIds=[launched["InstanceId"]])
    assert eventually(lambda: not machine.is_running())
    assert _volumes_with_our_tag(account) == []


def test_an_instance_that_ends_itself_takes_its_disks_with_it(account: LabAccount, fleet: Fleet) -> None:
    _, volume_id = _machine_with_volume(account)
    snapshot_id = _snapshot(account, volume_id)
    assert eventually(lambda: _state_of(account, snapshot_id) == "completed")
    launched = _launch(account, snapshot_id, InstanceInitiatedShutdownBehavior="terminate")
    assert eventually(lambda: len(_volumes_with_our_tag(account)) == 2)
    (machine,) = fleet.machines
    assert eventually(machine.is_running)

    machine.stop()
    account.check_status_now(launched["InstanceId"])

    assert eventually(lambda: _volumes_with_our_tag(account) == [])


def test_a_snapshot_that_is_not_completed_makes_no_disk(account: LabAccount, fleet: Fleet, unhurried: None) -> None:
    _, volume_id = _machine_with_volume(account)

    with pytest.raises(ClientError, match="IncorrectState"):
        _launch(account, _snapshot(account, volume_id))

    assert fleet.machines == []


def test_snapshots_break_and_launches_are_refused_when_told(account: LabAccount, fleet: Fleet) -> None:
    _, volume_id = _machine_with_volume(account)
    account.break_snapshots(are_broken=True)
    snapshot_id = _snapshot(account, volume_id)
    assert eventually(lambda: _state_of(account, snapshot_id) == "error")

    account.refuse("RunInstances", "InsufficientInstanceCapacity")
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        _launch(account, snapshot_id)
    account.refuse("CreateSnapshot", "SnapshotCreationPerVolumeRateExceeded")
    with pytest.raises(ClientError, match="SnapshotCreationPerVolumeRateExceeded"):
        account.client("ec2").create_snapshot(VolumeId=volume_id)


def test_a_parameter_that_names_no_image_is_refused(account: LabAccount, fleet: Fleet) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        account.client("ec2").run_instances(ImageId="resolve:ssm:/no/such", MinCount=1, MaxCount=1)
