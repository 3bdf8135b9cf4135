"""Volumes: what EC2 refuses, and disks that appear in the machine."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.waiting import eventually


def _volume(account: LabAccount, zone: str = "a", **options: Any) -> str:
    """A volume that is available."""
    ec2 = account.client("ec2")
    asked = {"AvailabilityZone": f"{account.region}{zone}", "Size": 8, "VolumeType": "gp3", **options}
    volume_id: str = ec2.create_volume(**asked)["VolumeId"]
    assert eventually(lambda: _describe(account, volume_id)["State"] == "available")
    return volume_id


def _describe(account: LabAccount, volume_id: str) -> Any:
    return account.client("ec2").describe_volumes(VolumeIds=[volume_id])["Volumes"][0]


def _attached(account: LabAccount, volume_id: str) -> bool:
    attachments = _describe(account, volume_id)["Attachments"]
    return bool(attachments) and attachments[0]["State"] == "attached"


def test_a_new_volume_is_creating_and_cannot_be_attached_yet(account: LabAccount, unhurried: None) -> None:
    instance_id, ec2 = account.add_instance(ScriptedMachine()), account.client("ec2")
    created = ec2.create_volume(AvailabilityZone=f"{account.region}a", Size=8, VolumeType="gp3")
    assert _describe(account, created["VolumeId"])["State"] == "creating"
    with pytest.raises(ClientError, match="IncorrectState"):
        ec2.attach_volume(VolumeId=created["VolumeId"], InstanceId=instance_id, Device="/dev/sdf")
    assert eventually(lambda: _describe(account, created["VolumeId"])["State"] == "available")


def test_the_same_client_token_gives_the_same_volume(account: LabAccount) -> None:
    first = _volume(account, ClientToken="again")
    assert _volume(account, ClientToken="again") == first
    assert _volume(account, ClientToken="another") != first


def test_the_same_client_token_with_another_size_is_refused(account: LabAccount) -> None:
    _volume(account, ClientToken="sized")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        _volume(account, ClientToken="sized", Size=9)


def test_too_much_throughput_for_the_iops_is_refused(account: LabAccount) -> None:
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        _volume(account, Throughput=1000, Iops=3000)


def test_attaching_takes_a_moment_and_plugs_a_disk_in(account: LabAccount, unhurried: None) -> None:
    machine = ScriptedMachine()
    instance_id, volume_id = account.add_instance(machine), _volume(account)
    answer = account.client("ec2").attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    assert answer["State"] == _describe(account, volume_id)["Attachments"][0]["State"] == "attaching"
    assert eventually(lambda: _attached(account, volume_id))
    assert (machine.disks[volume_id].size_gib, machine.disks[volume_id].device) == (8, "/dev/sdf")


def test_another_zone_a_taken_device_and_a_volume_in_use_are_refused(account: LabAccount) -> None:
    instance_id, ec2 = account.add_instance(ScriptedMachine()), account.client("ec2")
    volume_id = _volume(account)
    ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    for asked, code in (
        ({"VolumeId": _volume(account, zone="b"), "Device": "/dev/sdg"}, "InvalidVolume.ZoneMismatch"),
        ({"VolumeId": _volume(account), "Device": "/dev/sdf"}, "InvalidParameterValue"),
        ({"VolumeId": volume_id, "Device": "/dev/sdg"}, "VolumeInUse"),
    ):
        with pytest.raises(ClientError, match=code):
            ec2.attach_volume(InstanceId=instance_id, **asked)


def test_detaching_needs_no_instance_id_and_unplugs_the_disk(account: LabAccount, unhurried: None) -> None:
    machine = ScriptedMachine()
    instance_id, volume_id, ec2 = account.add_instance(machine), _volume(account), account.client("ec2")
    ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    assert eventually(lambda: _attached(account, volume_id))
    assert ec2.detach_volume(VolumeId=volume_id)["State"] == "detaching"
    with pytest.raises(ClientError, match="VolumeInUse"):
        ec2.delete_volume(VolumeId=volume_id)
    assert eventually(lambda: _describe(account, volume_id)["State"] == "available")
    assert machine.plugged_volume_ids() == []


def test_a_terminated_instance_leaves_its_data_volume_behind(account: LabAccount) -> None:
    instance_id, volume_id, ec2 = account.add_instance(ScriptedMachine()), _volume(account), account.client("ec2")
    ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    assert eventually(lambda: _attached(account, volume_id))
    ec2.terminate_instances(InstanceIds=[instance_id])
    assert eventually(lambda: _describe(account, volume_id)["State"] == "available")
