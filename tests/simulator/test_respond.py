"""What an alarm leads to: one interrupt, or a refusal that is recorded and told."""

from typing import Any

import pytest

from lab.simulator import auto_scaling_group
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World


def refusal(world: World) -> dict[str, Any]:
    """The record of the only incident; nobody was interrupted."""
    assert world.host.nmis == []
    (record,) = world.records().values()
    return record


def subjects(world: World) -> list[str]:
    return [each.subject for each in world.told()]


@pytest.mark.parametrize("seconds_later", [0, 3, 600], ids=["at-the-same-moment", "at-once", "when-it-is-over"])
def test_sends_one_interrupt_for_an_alarm_delivered_twice(world: World, seconds_later: float) -> None:
    world.host.hang()
    scheduler.sleep(150)
    world.alarm()
    world.alarm(later=seconds_later)
    world.settle(seconds=seconds_later + 5)

    assert len(world.host.nmis) == 1
    assert [each.state_machine.name for each in world.executions()] == ["CollectVmcore"]


def test_refuses_a_false_alarm_with_the_evidence(world: World) -> None:
    world.alarm()
    world.settle(seconds=5)

    record = refusal(world)
    assert (record["verdict"], record["reason"]) == ("refused", "status-check-passes")
    assert record["evidence"]["instanceStatus"] == "ok"
    assert subjects(world) == [f"Hangdump: refused (status-check-passes) {world.instance_id}"]


def test_refuses_to_interrupt_by_hand_an_instance_that_is_not_ready(world: World) -> None:
    host, instance_id = world.add_host()

    ended = world.run("CollectVmcore", instanceId=instance_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "refused")
    assert "not-ready" in ended["cause"]
    assert host.nmis == []


def test_refuses_graviton_as_unsupported_and_says_what_to_do(world: World) -> None:
    world.host, world.instance_id = graviton(world)
    world.alarm()
    world.settle(seconds=5)

    record = refusal(world)
    assert (record["verdict"], record["reason"]) == ("unsupported", "unsupported-architecture")
    (told,) = world.told()
    assert "start CollectVmcore with its instanceId" in told.message


def test_an_interrupt_of_graviton_by_hand_ends_unsupported(world: World) -> None:
    host, instance_id = graviton(world)

    ended = world.run("CollectVmcore", instanceId=instance_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "unsupported")
    assert "arm64" in ended["cause"]
    assert host.nmis == []


def graviton(world: World) -> tuple[Any, str]:
    """A ready arm64 instance."""
    host, instance_id = world.add_host(is_reserved=True, instance_type="t4g.micro", architecture="arm64")
    assert world.run("ProvisionDumpVolume", instanceId=instance_id)["status"] == "SUCCEEDED"
    return host, instance_id


# ---- in an Auto Scaling group


def state_soon(world: World) -> str:
    """A change of the group takes seconds."""
    scheduler.sleep(10)
    return auto_scaling_group.lifecycle_state(world)


def test_an_instance_is_not_replaced_while_it_dumps_and_comes_back_after(world: World) -> None:
    auto_scaling_group.join(world)
    seen = []

    def look() -> None:
        """Half-way through the dump, at the group's next health check."""
        scheduler.sleep(20)
        state, replaced = auto_scaling_group.lifecycle_state(world), world.account.replace_unhealthy_instances()
        seen.append((state, replaced, auto_scaling_group.size(world)))

    def panic() -> None:
        scheduler.spawn(look)
        world.host.panic()

    world.host.on_nmi = panic

    ended = world.hang()

    assert ended["output"]["verdict"] == "captured"
    # Another instance serves meanwhile.
    assert seen == [("Standby", [], (1, 2))]
    assert (state_soon(world), auto_scaling_group.size(world)) == ("InService", (2, 2))


@pytest.mark.parametrize("verdict", ["no-panic", "panic-no-dump"])
def test_an_instance_comes_back_when_its_dump_failed(world: World, verdict: str) -> None:
    auto_scaling_group.join(world)
    world.host.panics_on_nmi = verdict != "no-panic"
    world.host.writes_dump = False

    ended = world.hang()

    assert (ended["status"], ended["error"]) == ("FAILED", verdict)
    assert state_soon(world) == "InService"


def test_an_instance_that_its_group_has_no_room_for_is_told_of(world: World) -> None:
    auto_scaling_group.join(world, maximum=1)

    ended = world.hang()

    assert ended["output"]["verdict"] == "captured"
    assert state_soon(world) == "Standby"
    assert f"Hangdump: {world.instance_id} is left in Standby" in subjects(world)
    (record,) = world.records().values()
    assert record["autoScalingGroup"] == auto_scaling_group.name_of(world)


def test_a_group_that_drains_for_too_long_has_its_instance_back_and_not_interrupted(world: World) -> None:
    auto_scaling_group.join(world)
    auto_scaling_group.drain_for(world, seconds=700)

    ended = world.hang()

    assert ended == {}
    assert refusal(world)["reason"] == "standby-unavailable"
    assert f"Hangdump: refused (standby-unavailable) {world.instance_id}" in subjects(world)
    assert state_soon(world) == "InService"
