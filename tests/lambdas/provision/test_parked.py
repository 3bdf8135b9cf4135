"""What is planned for a dump volume that is parked, or to be."""

from typing import Any

import pytest

from lambdas.handlers import plan_parked_volume
from lambdas.provision.parked import forget_parked, read_parked, read_snapshots
from lambdas.runtime import clients
from lambdas.runtime.errors import InvalidInput
from tests.lambdas.account import TABLE
from tests.lambdas.conftest import Launch
from tests.lambdas.provision.test_plan_dump_volume import create_volume
from tests.lambdas.provisioning import plan

UUID = "0a1b2c3d-0000-4000-8000-000000000001"
pytestmark = pytest.mark.usefixtures("account")


def park(instance_id: str, *, mount_point: str = "/var/crash") -> str:
    """As ProvisionDumpVolume leaves it; the snapshot."""
    volume_id = create_volume(instance_id)
    snapshot: str = clients.ec2().create_snapshot(VolumeId=volume_id)["SnapshotId"]
    clients.ec2().delete_volume(VolumeId=volume_id)
    item = {
        "pk": {"S": f"parked#{instance_id}"},
        "snapshotId": {"S": snapshot},
        "volumeId": {"S": volume_id},
        "sizeGib": {"N": "9"},
        "uuid": {"S": UUID},
        "mountPoint": {"S": mount_point},
    }
    clients.dynamodb().put_item(TableName=TABLE, Item=item)
    return snapshot


def choice(planned: dict[str, Any]) -> tuple[str, bool, dict[str, Any]]:
    return planned["volume"]["action"], planned["park"], planned["parked"]


def test_a_volume_that_is_to_be_parked_is_made_first(launch: Launch, context: Any) -> None:
    none = {"isRecorded": False, "snapshotId": "", "uuid": "", "isSnapshotNeeded": True}
    assert choice(plan(context, launch(), dumpVolume="parked")) == ("create", True, none)


def test_a_parked_volume_is_left_parked(launch: Launch, context: Any) -> None:
    instance_id = launch()
    kept = {"isRecorded": True, "snapshotId": park(instance_id), "uuid": UUID, "isSnapshotNeeded": False}
    assert choice(plan(context, instance_id, dumpVolume="parked")) == ("parked", True, kept)


def test_what_was_chosen_once_holds_until_it_is_taken_back(launch: Launch, context: Any) -> None:
    instance_id = launch()
    plan(context, instance_id, dumpVolume="parked")
    assert plan(context, instance_id)["park"] is True
    assert plan(context, instance_id, dumpVolume="attached")["park"] is False


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"mountPoint": "/var/dumps"}, id="at-another-mount-point"),
        pytest.param({"sizeGib": 10}, id="larger"),
        pytest.param({"dumpVolume": "attached"}, id="attached"),
    ],
)
def test_another_volume_is_made_where_the_parked_one_is_not_what_is_wanted(
    launch: Launch, context: Any, given: dict[str, Any]
) -> None:
    instance_id = launch()
    snapshot = park(instance_id)
    planned = plan(context, instance_id, **{"dumpVolume": "parked", **given})
    assert planned["volume"]["action"] == "create"
    assert planned["parked"] == {"isRecorded": True, "snapshotId": snapshot, "uuid": UUID, "isSnapshotNeeded": True}


def test_another_volume_is_made_where_the_host_has_lost_the_parked_one(launch: Launch, context: Any) -> None:
    instance_id = launch()
    park(instance_id)
    lost = plan(context, instance_id, dumpVolume="parked", measured={"isParkedLost": True})
    assert lost["volume"]["action"] == "create"
    assert lost["parked"]["isSnapshotNeeded"] is True


def test_a_snapshot_that_is_gone_is_neither_used_nor_deleted(launch: Launch, context: Any) -> None:
    instance_id = launch()
    clients.ec2().delete_snapshot(SnapshotId=park(instance_id))
    gone = {"isRecorded": True, "snapshotId": "", "uuid": UUID, "isSnapshotNeeded": True}
    assert choice(plan(context, instance_id, dumpVolume="parked")) == ("create", True, gone)


def test_a_crash_gets_a_volume_from_the_snapshot_and_each_execution_of_it_the_same(
    launch: Launch, context: Any
) -> None:
    instance_id = launch()
    snapshot = park(instance_id)
    event = {"incidentId": f"20261123T040000Z-{instance_id}", "instanceId": instance_id}
    planned = plan_parked_volume.handler(dict(event), context)
    assert (planned["snapshotId"], planned["availabilityZone"]) == (snapshot, "eu-west-1a")
    assert planned["volume"]["action"] == "create"
    assert planned == plan_parked_volume.handler(dict(event), context)
    # A blank one, of a provisioning under way.
    create_volume(instance_id)
    assert planned == plan_parked_volume.handler(dict(event), context)


def test_a_crash_of_an_instance_that_is_no_longer_parked_gets_no_volume(launch: Launch, context: Any) -> None:
    with pytest.raises(InvalidInput, match="no longer parked"):
        plan_parked_volume.handler({"incidentId": "x", "instanceId": launch()}, context)


def test_forgetting_deletes_the_snapshot_and_the_record_and_twice_is_harmless(launch: Launch) -> None:
    instance_id = launch()
    snapshot = park(instance_id)
    assert read_snapshots(TABLE, [instance_id, "i-none"]) == {instance_id: snapshot, "i-none": ""}
    assert forget_parked(TABLE, instance_id) == snapshot
    assert read_parked(TABLE, instance_id) is None
    assert clients.ec2().describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    assert forget_parked(TABLE, instance_id) == ""
