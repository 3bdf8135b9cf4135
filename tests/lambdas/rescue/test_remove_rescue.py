"""What a rescue made is removed by its tag, whatever is known of it and however often it is asked."""

from typing import Any

import pytest

from lambdas.handlers import remove_rescue
from lambdas.runtime import clients
from tests.lambdas import account as aws
from tests.lambdas.account import Account

TAGS: Any = [{"Key": "hangdump:rescue", "Value": "rescue-1"}]
OTHER: Any = [{"Key": "hangdump:rescue", "Value": "rescue-2"}]


def _remove(context: Any) -> dict[str, Any]:
    return remove_rescue.handler({"executionName": "rescue-1"}, context)


def _volume(tags: Any) -> str:
    specifications: Any = [{"ResourceType": "volume", "Tags": tags}]
    created = clients.ec2().create_volume(
        AvailabilityZone=f"{aws.REGION}a", Size=8, TagSpecifications=specifications if tags else []
    )
    volume_id: str = created["VolumeId"]
    return volume_id


def _snapshot(volume_id: str, tags: Any) -> str:
    specifications: Any = [{"ResourceType": "snapshot", "Tags": tags}]
    snapshot_id: str = clients.ec2().create_snapshot(VolumeId=volume_id, TagSpecifications=specifications)["SnapshotId"]
    return snapshot_id


def _collector(tags: Any) -> str:
    specifications: Any = [{"ResourceType": "instance", "Tags": tags}]
    launched = clients.ec2().run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=specifications
    )
    instance_id: str = launched["Instances"][0]["InstanceId"]
    return instance_id


def _state(instance_id: str) -> str:
    described = clients.ec2().describe_instances(InstanceIds=[instance_id])["Reservations"]
    return described[0]["Instances"][0]["State"]["Name"]


def test_removes_all_of_its_own_also_what_was_made_twice_and_nothing_else(account: Account, context: Any) -> None:
    dump_volume = _volume([])
    snapshots = [_snapshot(dump_volume, TAGS), _snapshot(dump_volume, TAGS)]
    collectors = [_collector(TAGS), _collector(TAGS)]
    others = (_collector(OTHER), _snapshot(dump_volume, OTHER), _volume(OTHER))
    _volume(TAGS)

    first = _remove(context)

    # A collector is left until a later look finds it terminated.
    assert set(first["left"]) == set(collectors)
    assert _remove(context) == {"isAnythingLeft": False, "left": []}
    assert [_state(each) for each in collectors] == ["terminated", "terminated"]
    kept = clients.ec2().describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert set(snapshots).isdisjoint(each["SnapshotId"] for each in kept)
    assert _state(others[0]) == "running"
    assert others[1] in [each["SnapshotId"] for each in kept]
    volumes = [each["VolumeId"] for each in clients.ec2().describe_volumes()["Volumes"]]
    assert {dump_volume, others[2]} <= set(volumes)


def test_a_copy_in_use_is_left_until_it_is_free(account: Account, context: Any, instance_id: str) -> None:
    copy = _volume(TAGS)
    clients.ec2().attach_volume(VolumeId=copy, InstanceId=instance_id, Device="/dev/sdf")

    assert _remove(context) == {"isAnythingLeft": True, "left": [copy]}


def test_what_cannot_be_removed_keeps_nothing_else_from_it(
    account: Account, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, copy = _snapshot(_volume([]), TAGS), _volume(TAGS)
    account.fail("DeleteSnapshot", "RequestLimitExceeded")

    assert _remove(context)["left"] == [snapshot]
    assert copy not in [each["VolumeId"] for each in clients.ec2().describe_volumes()["Volumes"]]
