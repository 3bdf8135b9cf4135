"""RescueVmcore: it reads a copy of the dump volume, and nothing that it made is left, whatever happens on its way."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lab.simulator.modelled_documents import ModelledHost
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World


def cannot_be_started(world: World) -> None:
    """The instance powers itself off after its dump, and EC2 does not start it again."""
    world.host.final_action = "poweroff"
    world.account.computer(world.instance_id).refuses_to_start = "InsufficientInstanceCapacity"


def lose(world: World) -> dict[str, Any]:
    """It hangs, and does not come back."""
    cannot_be_started(world)
    return world.hang()


def dump_and_stop(world: World) -> None:
    """It panicked by itself some time ago, and is off."""
    world.host.panic()
    scheduler.sleep(600)
    world.account.client("ec2").stop_instances(InstanceIds=[world.instance_id])
    scheduler.sleep(60)


def test_rescues_the_vmcore_of_an_instance_that_does_not_come_back(world: World) -> None:
    ended = lose(world)

    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["verdict"] == "rescued"
    assert "could not be started" in ended["output"]["reason"]
    assert "cannot be started now" in ended["output"]["reason"]
    objects = world.objects_of(world.instance_id)
    assert objects["vmcore"] == world.host.content
    assert json.loads(objects["incident.json"])["verdict"] == "rescued"
    manifest = json.loads(objects["manifest.json"])
    assert manifest["readFrom"]["volumeId"] == world.volumes_of(world.instance_id)[0]["VolumeId"]
    assert manifest["readFrom"]["collectorId"].startswith("i-")
    assert manifest["instance"]["kernel"] == ""
    # Nothing is taken from the dump volume, and nothing is left of what was made.
    assert (len(world.host.disk), len(world.host.nmis)) == (1, 1)
    assert world.left_of_rescues(world.instance_id) == []
    (collector,) = world.collectors
    assert not collector.is_on
    at_once, told = world.told()
    assert "was interrupted" in at_once.subject
    assert "rescued" in told.subject


def test_rescues_by_hand_what_lies_on_the_dump_volume(world: World) -> None:
    dump_and_stop(world)

    ended = world.run("RescueVmcore", instanceId=world.instance_id)

    assert ended["output"]["verdict"] == "rescued"
    assert world.objects_of(world.instance_id)["vmcore"] == world.host.content
    assert world.left_of_rescues(world.instance_id) == []


def test_rescues_by_hand_the_incident_that_failed(world: World) -> None:
    world.account.refuse("RunInstances", "InsufficientInstanceCapacity")
    assert lose(world)["status"] == "FAILED"
    (incident_id,) = world.records()
    world.account.refuse("RunInstances", "")

    ended = world.run("RescueVmcore", incidentId=incident_id)
    again = world.run("RescueVmcore", incidentId=incident_id)

    assert (ended["output"]["verdict"], ended["output"]["incidentId"]) == ("rescued", incident_id)
    assert "already in the bucket" in again["cause"]
    assert world.records()[incident_id]["verdict"] == "rescued"


def refuse_snapshots(world: World) -> None:
    world.account.refuse("CreateSnapshot", "SnapshotLimitExceeded")


def break_snapshots(world: World) -> None:
    world.account.break_snapshots(are_broken=True)


def lack_capacity(world: World) -> None:
    world.account.refuse("RunInstances", "InsufficientInstanceCapacity")


def let_collectors(change: Callable[[ModelledHost], None]) -> Callable[[World], None]:
    def arrange(world: World) -> None:
        world.prepare_collector = change

    return arrange


def die_at_start(collector: ModelledHost) -> None:
    collector.is_broken = True


def never_answer(collector: ModelledHost) -> None:
    collector.boot_seconds = 1e9


def find_no_file_system(collector: ModelledHost) -> None:
    collector.fails_with["mount_dump_copy"] = {"error": "DumpVolumeMismatch", "message": "neither xfs nor ext4."}


def lose_the_dump(collector: ModelledHost) -> None:
    def lose() -> None:
        # The copy's: it is mounted by now.
        collector.disk.clear()

    collector.before["upload_vmcore upload"] = lose


def find_nothing_sensible(collector: ModelledHost) -> None:
    collector.prints["upload_vmcore find"] = {"memoryBytes": "many"}


@pytest.mark.parametrize(
    ("arrange", "cause"),
    [
        pytest.param(refuse_snapshots, "No snapshot of", id="no snapshot is allowed"),
        pytest.param(break_snapshots, "went to state error", id="the snapshot breaks"),
        pytest.param(lack_capacity, "No instance can be launched", id="no capacity"),
        pytest.param(let_collectors(die_at_start), "instead of running", id="the collector dies"),
        pytest.param(let_collectors(never_answer), "was not online within", id="the collector never answers"),
        pytest.param(let_collectors(find_no_file_system), "neither xfs nor ext4", id="nothing can be mounted"),
        pytest.param(let_collectors(lose_the_dump), "VmcoreChanged", id="the upload fails"),
        pytest.param(let_collectors(find_nothing_sensible), "UnexpectedResult", id="it finds nothing sensible"),
    ],
)
def test_leaves_nothing_behind_when_it_fails(world: World, arrange: Callable[[World], None], cause: str) -> None:
    dump_and_stop(world)
    arrange(world)

    ended = world.run("RescueVmcore", instanceId=world.instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "failed")
    assert cause in ended["cause"]
    assert "was not touched" in ended["cause"]
    assert world.left_of_rescues(world.instance_id) == []
    assert "vmcore" not in world.keys_of(world.instance_id)
    assert len(world.host.disk) == 1
    assert [each["State"] for each in world.volumes_of(world.instance_id)] == ["in-use"]


def test_says_that_the_dump_volume_holds_no_vmcore(world: World) -> None:
    world.host.writes_dump = False

    ended = lose(world)

    assert (ended["status"], ended["error"]) == ("FAILED", "panic-no-dump")
    assert world.left_of_rescues(world.instance_id) == []


def test_copies_nothing_of_an_instance_whose_owner_has_opted_out(world: World) -> None:
    dump_and_stop(world)
    tags = [{"Key": "hangdump:enrolled"}]
    world.account.client("ec2").delete_tags(Resources=[world.instance_id], Tags=tags)

    ended = world.run("RescueVmcore", instanceId=world.instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "refused")
    assert world.account.events.matching("ec2", "snapshot of") == []


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"instanceId": "i-0123456789abcdef0"}, id="an instance without a dump volume"),
        pytest.param({"incidentId": "20261123T040000Z-i-0123456789abcdef0"}, id="an incident that does not exist"),
        pytest.param({"instanceId": "i-0123456789abcdef0", "volume": "vol-1"}, id="an unknown field"),
    ],
)
def test_ends_bad_input_with_a_verdict(world: World, given: dict[str, str]) -> None:
    ended = world.run("RescueVmcore", **given)

    assert (ended["status"], ended["error"]) == ("FAILED", "failed")
    assert world.collectors == []


def test_the_sweep_ends_what_an_aborted_rescue_left_and_no_live_one(world: World) -> None:
    """It leaves alone what is younger than an hour."""
    world.prepare_collector = never_answer
    cannot_be_started(world)
    collection = world.start("CollectVmcore", instanceId=world.instance_id, interrupt=True)
    scheduler.run(until=lambda: bool(world.collectors), seconds=3600)
    made = world.left_of_rescues(world.instance_id)
    world.make_older(made, hours=2)

    world.sweep()

    assert (collection.status, world.left_of_rescues(world.instance_id)) == ("RUNNING", made)
    rescue = next(each for each in world.executions() if each.state_machine.name == "RescueVmcore")
    world.account.client("stepfunctions").stop_execution(executionArn=rescue.exec_arn)
    world.settle()
    assert (collection.status, collection.error) == ("FAILED", "failed")
    assert "ended as ABORTED" in collection.cause
    assert world.left_of_rescues(world.instance_id) == made
    assert len(made) == 4
    # The collector first; what it used is free by the next sweep.
    world.sweep()
    scheduler.sleep(60)
    world.sweep()
    assert world.left_of_rescues(world.instance_id) == []
    assert len(world.host.disk) == 1
