"""What a sweep finds on an instance, and what it does about it."""

from collections.abc import Callable
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from lab.simulator import auto_scaling_group
from lab.simulator.modelled_documents import ModelledHost
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from lambdas.fleet.row import FleetRow, Reason, Status
from lambdas.incident.object_keys import SWEEPS
from lambdas.incident.record import Incident
from lambdas.incident.table import create_incident


def findings(world: World, *, days_later: float = 0.0) -> dict[str, dict[str, Any]]:
    """Kind -> what a sweep says of the instance."""
    found = world.sweep(days_later=days_later)
    return {each["kind"]: each for each in found if each.get("instanceId") == world.instance_id}


def test_finds_the_dump_of_a_panic_that_happened_by_itself_and_leaves_it_there(world: World) -> None:
    world.host.panic()
    scheduler.sleep(600)

    found = findings(world)

    assert found["uncollected-dump"]["action"] == "report"
    assert "/var/crash/" in found["uncollected-dump"]["detail"]
    assert len(world.host.disk) == 1
    assert world.run("CollectVmcore", instanceId=world.instance_id)["output"]["verdict"] == "captured"
    assert findings(world) == {}


def test_sweeps_after_a_deployment_of_its_stack_and_no_other(world: World) -> None:
    def swept_after(stack: str) -> int:
        stacks = world.account.client("cloudformation").describe_stacks()["Stacks"]
        ours = next(each["StackId"] for each in stacks if each["StackName"] == "Hangdump")
        stack_id = ours.replace("/Hangdump/", f"/{stack}/")
        detail = {"stack-id": stack_id, "status-details": {"status": "UPDATE_COMPLETE", "status-reason": ""}}
        world.account._bus.notify("aws.cloudformation", "CloudFormation Stack Status Change", detail, [stack_id])
        world.settle()
        reports = world.account.client("s3").list_objects_v2(Bucket=world.bucket, Prefix=SWEEPS)
        return int(reports["KeyCount"])

    assert [swept_after("Other"), swept_after("Hangdump")] == [0, 1]


def test_takes_the_mark_from_an_instance_that_lost_its_crash_kernel(world: World) -> None:
    world.host.is_ready = False

    assert findings(world)["not-ready"]["isDone"] is True

    assert "hangdump:ready" not in world.tags_of(world.instance_id)
    # The gate refuses from now on, and provisioning it again makes it good.
    world.host.is_ready = True
    ended = world.run("ProvisionDumpVolume", instanceId=world.instance_id)
    assert ended["output"]["status"] == "ready"
    assert findings(world) == {}


def test_says_that_systems_manager_lost_a_ready_instance(world: World) -> None:
    world.account.computer(world.instance_id).in_ssm = False

    found = findings(world)

    assert "not registered" in found["ready-but-unreachable"]["detail"]
    assert "hangdump:ready" in world.tags_of(world.instance_id)


def test_changes_nothing_on_an_instance_that_is_well(world: World) -> None:
    def state() -> tuple[object, ...]:
        """All but when it was last seen ready."""
        instance_id = world.instance_id
        return set(world.tags_of(instance_id)), world.volumes_of(instance_id), world.alarms_of(instance_id)

    before = state()

    assert findings(world) == {}

    assert state() == before
    assert (world.host.nmis, world.host.reboots) == ([], 0)


def join_and_lose(world: World, *, dumps: bool = False, forget: bool = True) -> str:
    """A member of a group is provisioned, and terminated by its group; the id of its dump volume."""
    world.host, world.instance_id = world.add_host(is_reserved=True)
    auto_scaling_group.join(world)
    assert world.run("ProvisionDumpVolume", instanceId=world.instance_id)["status"] == "SUCCEEDED"
    return lose(world, dumps=dumps, forget=forget)


def lose(world: World, *, dumps: bool = False, forget: bool = True) -> str:
    """The instance is terminated, with a dump on its volume that nobody has fetched; EC2 forgets it within the hour."""
    if dumps:
        world.host.panic()
        scheduler.sleep(600)
    world.account.client("ec2").terminate_instances(InstanceIds=[world.instance_id])
    scheduler.sleep(2 * 3600)
    if forget:
        world.forget_instance(world.instance_id)
    (volume,) = world.volumes_of(world.instance_id)
    world.account.notifications.clear()
    return str(volume["VolumeId"])


def sweep_and_settle(world: World) -> dict[str, dict[str, Any]]:
    found = findings(world)
    world.settle()
    return found


def rescues(world: World) -> list[str]:
    """The names of all rescues so far."""
    return [each.name for each in world.executions() if each.state_machine.name == "RescueVmcore"]


@pytest.mark.parametrize("forget", [True, False], ids=["EC2 has forgotten it", "EC2 shows it as terminated"])
def test_the_empty_volume_of_a_replaced_member_is_read_deleted_and_nobody_is_told(world: World, forget: bool) -> None:
    volume_id = join_and_lose(world, forget=forget)

    found = sweep_and_settle(world)

    assert (found["orphan-to-read"]["subject"], found["orphan-to-read"]["isDone"]) == (volume_id, True)
    assert world.last("RescueVmcore")["output"]["verdict"] == "no-panic", world.last("RescueVmcore")
    assert world.volumes_of(world.instance_id) == []
    assert world.left_of_rescues(world.instance_id) == []
    removed = sweep_and_settle(world)["orphan-removed"]
    assert (removed["subject"], "is empty" in removed["detail"]) == (volume_id, True)
    assert sweep_and_settle(world).keys() == {"orphan-removed"}
    assert rescues(world) == [f"orphan-{volume_id}-1"]
    assert world.account.notifications == []
    assert ("SweepFindings", {"service": "hangdump", "kind": "orphan-removed"}) in world.metrics()


def test_the_vmcore_of_a_replaced_member_is_rescued_once_then_its_volume_is_deleted(world: World) -> None:
    volume_id = join_and_lose(world, dumps=True)

    sweep_and_settle(world)

    ended = world.last("RescueVmcore")
    assert ended["output"]["verdict"] == "rescued", ended
    assert f"{volume_id} was deleted" in ended["output"]["reason"]
    assert world.objects_of(world.instance_id)["vmcore"] == world.host.content
    assert world.volumes_of(world.instance_id) == []
    assert sweep_and_settle(world).keys() == {"orphan-removed"}
    assert len(rescues(world)) == 1
    (told,) = world.told()
    assert "rescued" in told.subject


def test_the_volume_of_a_pet_is_only_reported(world: World) -> None:
    volume_id = lose(world)

    found = sweep_and_settle(world)

    assert (found["orphaned-volume"]["subject"], found["orphaned-volume"]["action"]) == (volume_id, "report")
    assert len(world.volumes_of(world.instance_id)) == 1
    assert rescues(world) == []


def leave_notes(collector: ModelledHost) -> None:
    collector.foreign_files = ["notes.txt"]


def die_at_start(collector: ModelledHost) -> None:
    collector.is_broken = True


@pytest.mark.parametrize(
    ("dumps", "verdict", "why"),
    [
        pytest.param(True, "rescued", "notes.txt", id="beside a vmcore"),
        pytest.param(False, "failed", "There is no dump", id="and no vmcore"),
    ],
)
def test_a_volume_with_files_that_nobody_knows_stays_with_the_reason(
    world: World, dumps: bool, verdict: str, why: str
) -> None:
    volume_id = join_and_lose(world, dumps=dumps)
    world.prepare_collector = leave_notes

    sweep_and_settle(world)

    (record,) = world.records().values()
    assert record["verdict"] == verdict
    found = findings(world)["orphaned-volume"]
    assert (found["subject"], found["action"], why in found["detail"]) == (volume_id, "report", True), found
    assert len(world.volumes_of(world.instance_id)) == 1


def test_a_rescue_that_fails_is_tried_again_three_times_in_all_with_the_reason_in_the_report(world: World) -> None:
    volume_id = join_and_lose(world)
    world.prepare_collector = die_at_start

    reasons = []
    for _ in range(6):
        found = findings(world, days_later=1)
        world.settle()
        reasons.append(found.get("orphaned-volume", {}).get("detail", ""))

    assert rescues(world) == [f"orphan-{volume_id}-{attempt}" for attempt in (1, 2, 3)]
    assert "3 rescues did not succeed" in reasons[-1]
    assert "instead of running" in reasons[-1]
    assert len(world.volumes_of(world.instance_id)) == 1
    # The sweeps told of it, in one message each; no incident did.
    assert {each.subject for each in world.told()} == {"Hangdump: sweep found 1, acted on 0"}


def test_no_volume_is_read_while_an_incident_of_its_instance_has_no_verdict(world: World) -> None:
    volume_id = join_and_lose(world)
    incident_id = f"20261123T040000Z-{world.instance_id}"
    opened = Incident(incident_id=incident_id, instance_id=world.instance_id, opened_at="2026-11-23T04:00:00Z")
    create_incident(world.outputs["IncidentTableName"], opened)

    found = sweep_and_settle(world)

    assert incident_id in found["orphaned-volume"]["detail"]
    assert rescues(world) == []
    assert [each["VolumeId"] for each in world.volumes_of(world.instance_id)] == [volume_id]


def test_no_volume_is_read_twice_at_once(world: World) -> None:
    volume_id = join_and_lose(world, dumps=True)

    for _ in range(3):
        world.run_by_schedule("sweep")
    world.settle(seconds=5)
    scheduler.run(until=lambda: False, seconds=60)

    assert rescues(world) == [f"orphan-{volume_id}-1"]
    assert world.last("RescueVmcore")["output"]["verdict"] == "rescued"
    assert len([each for each in world.told() if "rescued" in each.subject]) == 1
    assert world.volumes_of(world.instance_id) == []


def test_a_rescue_under_way_is_not_joined_by_another(world: World) -> None:
    join_and_lose(world)
    findings(world)
    scheduler.run(until=lambda: bool(world.collectors), seconds=3600)

    assert findings(world).keys() == {"orphan-being-read"}
    world.settle()
    assert len(rescues(world)) == 1


def test_a_volume_that_somebody_attaches_while_it_is_read_stays(world: World) -> None:
    volume_id = join_and_lose(world)
    _, other = world.add_host(tags={})

    def attach(collector: ModelledHost) -> None:
        # The copy is made by now.
        world.account.client("ec2").attach_volume(VolumeId=volume_id, InstanceId=other, Device="/dev/sdg")

    world.prepare_collector = attach

    sweep_and_settle(world)

    assert world.last("RescueVmcore")["output"]["verdict"] == "no-panic"
    assert "it is in-use" in world.last("RescueVmcore")["output"]["reason"]
    found = sweep_and_settle(world)
    assert "attached to another instance" in found["orphaned-volume"]["detail"]
    assert [each["State"] for each in world.volumes_of(world.instance_id)] == ["in-use"]


def retain(world: World, volume_id: str) -> None:
    world.account.client("ec2").create_tags(Resources=[volume_id], Tags=[{"Key": "retain", "Value": ""}])


def belong_to_somebody_else(world: World, volume_id: str) -> None:
    """Somebody has given our tags to a volume of theirs: no record says that we created it."""
    key = {"pk": {"S": f"dump-volume#{volume_id}"}}
    world.account.client("dynamodb").delete_item(TableName=world.outputs["IncidentTableName"], Key=key)


def leave_two(world: World, volume_id: str) -> None:
    tags = [{"Key": "hangdump:instance-id", "Value": world.instance_id}, {"Key": "hangdump:stack", "Value": "Hangdump"}]
    world.account.client("ec2").create_volume(
        AvailabilityZone=f"{world.account.region}a",
        Size=8,
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
    )
    scheduler.sleep(7200)


def opt_out(world: World, volume_id: str) -> None:
    reason = Reason(code="tag-removed", severity="note")
    row = FleetRow(instance_id=world.instance_id, status=Status.RETIRED, reasons=(reason,), revision=1)
    item = {name: TypeSerializer().serialize(value) for name, value in row.as_item().items()}
    world.account.client("dynamodb").put_item(TableName=world.outputs["FleetTableName"], Item=item)


@pytest.mark.parametrize(
    ("arrange", "why"),
    [
        pytest.param(retain, "it is tagged Retain", id="tagged to be kept"),
        pytest.param(belong_to_somebody_else, "it may hold the only vmcore", id="not ours"),
        pytest.param(leave_two, "several dump volumes", id="one of two"),
        pytest.param(opt_out, "opted out", id="of an owner who opted out"),
    ],
)
def test_a_volume_stays_unread_when_it_is(world: World, arrange: Callable[[World, str], None], why: str) -> None:
    volume_id = join_and_lose(world)
    arrange(world, volume_id)

    found = [each for each in world.sweep() if each["subject"] == volume_id]
    world.settle()

    assert [(each["kind"], why in each["detail"]) for each in found] == [("orphaned-volume", True)], found
    assert volume_id in [each["VolumeId"] for each in world.volumes_of(world.instance_id)]
    assert rescues(world) == []


def test_a_volume_that_somebody_asks_to_keep_while_it_is_read_stays(world: World) -> None:
    volume_id = join_and_lose(world)
    world.prepare_collector = lambda _: retain(world, volume_id)

    sweep_and_settle(world)

    assert "tagged Retain" in world.last("RescueVmcore")["output"]["reason"]
    assert "tagged Retain" in findings(world)["orphaned-volume"]["detail"]


def test_an_older_volume_is_known_as_a_members_by_the_fleet_table(world: World) -> None:
    """The record of a volume from before groups were noted names none."""
    volume_id = join_and_lose(world)
    key = {"pk": {"S": f"dump-volume#{volume_id}"}}
    dynamodb, table = world.account.client("dynamodb"), world.outputs["IncidentTableName"]
    dynamodb.update_item(TableName=table, Key=key, UpdateExpression="REMOVE autoScalingGroup")
    assert findings(world)["orphaned-volume"]["action"] == "report"
    reason = Reason(code="instance-terminated", severity="note")
    row = FleetRow(instance_id=world.instance_id, status=Status.RETIRED, reasons=(reason,), group="web", revision=1)
    item = {name: TypeSerializer().serialize(value) for name, value in row.as_item().items()}
    dynamodb.put_item(TableName=world.outputs["FleetTableName"], Item=item)

    sweep_and_settle(world)

    assert world.volumes_of(world.instance_id) == []
