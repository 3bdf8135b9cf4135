"""RetireInstance: what it undoes, what it never deletes, and what it says."""

import pytest

from lab.simulator.scheduler import scheduler
from lab.simulator.world import World


def test_takes_an_instance_out_and_deletes_its_empty_volume(world: World) -> None:
    (volume,) = world.volumes_of(world.instance_id)

    ended = world.run("RetireInstance", instanceId=world.instance_id)

    output = ended["output"]
    assert (output["status"], output["alarmDeleted"], output["otherVolumes"]) == ("retired", True, [])
    assert output["volume"] == {
        "volumeId": volume["VolumeId"],
        "action": "deleted",
        "reason": "the host saw that it is empty",
    }
    assert output["host"]["bytesGivenBack"] > 0
    assert world.volumes_of(world.instance_id) == []
    assert world.alarms_of(world.instance_id) == []
    assert world.tags_of(world.instance_id) == {}
    assert world.host.documents_run[-1] == "unconfigure_kdump"


def test_running_it_again_needs_the_opt_in_and_changes_nothing(world: World) -> None:
    world.run("RetireInstance", instanceId=world.instance_id)
    before = list(world.host.documents_run)

    ended = world.run("RetireInstance", instanceId=world.instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "InstanceNotEnrolled")
    assert world.host.documents_run == before


def test_a_retired_instance_can_be_enrolled_again(world: World) -> None:
    world.run("RetireInstance", instanceId=world.instance_id)
    tags = [{"Key": "hangdump:enrolled", "Value": "true"}]
    world.account.client("ec2").create_tags(Resources=[world.instance_id], Tags=tags)

    ended = world.run("ProvisionDumpVolume", instanceId=world.instance_id, reboot=True)

    assert ended["output"]["status"] == "ready"


def test_a_dump_on_the_volume_stops_it_and_stays(world: World) -> None:
    world.host.panic()
    scheduler.sleep(600)

    ended = world.run("RetireInstance", instanceId=world.instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "DumpOnInstance")
    assert world.host.dumps()
    assert len(world.volumes_of(world.instance_id)) == 1
    assert "hangdump:enrolled" in world.tags_of(world.instance_id)
    assert world.alarms_of(world.instance_id) == []


def test_a_volume_that_the_host_did_not_see_empty_is_detached_and_kept(world: World) -> None:
    (volume,) = world.volumes_of(world.instance_id)
    world.host.prints["unconfigure_kdump"] = {"status": "unconfigured", "volumeEmpty": False, "files": ["notes.txt"]}

    output = world.run("RetireInstance", instanceId=world.instance_id)["output"]

    assert (output["volume"]["volumeId"], output["volume"]["action"]) == (volume["VolumeId"], "kept")
    assert "notes.txt" in output["volume"]["reason"]
    assert [each["State"] for each in world.volumes_of(world.instance_id)] == ["available"]


def test_a_volume_of_others_that_carries_our_tag_is_not_touched(world: World) -> None:
    """The right to tag does not suffice: the table says which volumes are ours."""
    ec2 = world.account.client("ec2")
    (mine,) = world.volumes_of(world.instance_id)
    other = ec2.create_volume(AvailabilityZone=mine["AvailabilityZone"], Size=8, VolumeType="gp3")["VolumeId"]
    ec2.create_tags(Resources=[other], Tags=[{"Key": "hangdump:instance-id", "Value": world.instance_id}])

    output = world.run("RetireInstance", instanceId=world.instance_id)["output"]

    assert [each["volumeId"] for each in output["otherVolumes"]] == [other]
    assert [each["VolumeId"] for each in world.volumes_of(world.instance_id)] == [other]


def test_it_waits_for_no_collection_but_refuses_while_one_runs(world: World) -> None:
    world.host.hang()
    collection = world.start("CollectVmcore", instanceId=world.instance_id, interrupt=True)
    scheduler.sleep(5)
    retirement = world.start("RetireInstance", instanceId=world.instance_id)
    world.settle()

    assert (retirement.status, retirement.error) == ("FAILED", "IncidentUnfinished")
    assert collection.name in retirement.cause
    assert collection.status == "SUCCEEDED"
    assert len(world.vmcores()) == 1


def test_only_one_execution_provisions_or_retires_an_instance(world: World) -> None:
    both = [world.start(name, instanceId=world.instance_id) for name in ("RetireInstance", "ProvisionDumpVolume")]
    world.settle()

    assert sorted(each.status for each in both) == ["FAILED", "SUCCEEDED"]
    assert "ProvisioningInProgress" in [each.error for each in both]


@pytest.mark.parametrize(("state", "error"), [("stopped", "InstanceNotRunning"), ("silent", "InstanceNotManaged")])
def test_an_instance_that_cannot_be_reached_keeps_its_volume_and_its_opt_in(
    world: World, state: str, error: str
) -> None:
    instance_id = world.instance_id
    if state == "stopped":
        world.account.client("ec2").stop_instances(InstanceIds=[instance_id])
        scheduler.sleep(600)
    else:
        _, instance_id = world.add_host(in_ssm=False)

    ended = world.run("RetireInstance", instanceId=instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert "retire it again" in ended["cause"]
    assert world.tags_of(instance_id) == {"hangdump:enrolled": "true"}
    assert len(world.volumes_of(instance_id)) == (1 if state == "stopped" else 0)


def test_of_an_instance_that_is_gone_the_volume_is_named(world: World) -> None:
    (volume,) = world.volumes_of(world.instance_id)
    world.account.client("ec2").terminate_instances(InstanceIds=[world.instance_id])
    scheduler.sleep(600)

    output = world.run("RetireInstance", instanceId=world.instance_id)["output"]

    assert (output["status"], output["host"], output["volume"]["action"]) == ("retired", {"status": "gone"}, "none")
    assert [each["volumeId"] for each in output["otherVolumes"]] == [volume["VolumeId"]]
    assert len(world.volumes_of(world.instance_id)) == 1
