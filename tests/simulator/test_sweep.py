"""What a sweep finds on an instance, and what it does about it."""

from typing import Any

from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from lambdas.incident.object_keys import SWEEPS


def findings(world: World) -> dict[str, dict[str, Any]]:
    """Kind -> what a sweep says of the instance."""
    return {each["kind"]: each for each in world.sweep() if each.get("instanceId") == world.instance_id}


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
