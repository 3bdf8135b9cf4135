"""A sweep begins drills by itself: one for each combination of image, type family, kernel and settings in the fleet."""

import os

from lab.simulator.modelled_documents import ModelledHost
from lab.simulator.world import World
from lambdas.runtime.stack_parameter import KILL_SWITCH_PARAMETER
from tests.hangdump_cli.runner import hangdump


def like_the_first(world: World, count: int) -> list[str]:
    """Further instances of its image, all of them enrolled and listed with the kernel that they were marked with."""
    ec2 = world.account.state.backend("ec2")
    world.let_enrol()
    added = [world.add_host(is_reserved=True)[1] for _ in range(count)]
    for each in added:
        ec2.get_instance(each).image_id = ec2.get_instance(world.instance_id).image_id
    for _ in range(2):
        world.ring()
        world.settle()
    return [world.instance_id, *added]


def drills(world: World) -> list[str]:
    return [each.name for each in world.executions() if each.state_machine.name == "DrillDump"]


def test_a_sweep_drills_each_combination_once_and_again_when_its_proof_is_old(world: World) -> None:
    os.environ["DRILL_EVERY_DAYS"] = "30"
    alike = like_the_first(world, 2)

    world.sweep()
    world.settle()
    world.ring()
    world.settle()

    (name,) = drills(world)
    assert any(name.endswith(each) for each in alike)
    assert all(world.fleet()[each].proven_at for each in alike)
    page = world.content("reports/fleet.html").decode()
    assert "A drill proved a dump with this image and kernel on" in page
    world.sweep(days_later=1)
    world.settle()
    assert drills(world) == [name]
    world.sweep(days_later=31)
    world.settle()
    assert len(drills(world)) == 2


def test_a_drill_that_a_sweep_began_and_that_failed_is_told_and_not_repeated_daily(world: World) -> None:
    os.environ["DRILL_EVERY_DAYS"] = "30"
    like_the_first(world, 1)

    def write_nothing(twin: ModelledHost) -> None:
        twin.writes_dump = False

    world.prepare_collector = write_nothing
    for _ in range(3):
        world.sweep(days_later=1)
        world.settle()

    assert len(drills(world)) == 1
    assert "never proven" in hangdump("why", world.instance_id).stdout
    assert len([each for each in world.told() if "No dump of a twin" in each.message]) == 1


def switch(world: World, value: str) -> None:
    world.account.client("ssm").put_parameter(Name=KILL_SWITCH_PARAMETER, Value=value, Overwrite=True)


def test_a_drill_that_was_refused_for_a_reason_that_passes_is_begun_by_the_next_sweep(world: World) -> None:
    os.environ["DRILL_EVERY_DAYS"] = "30"
    like_the_first(world, 1)
    switch(world, "off")
    world.sweep()
    world.settle()
    switch(world, "on")

    world.sweep(days_later=1)
    world.settle()

    ends = [(each.status, each.error) for each in world.executions() if each.state_machine.name == "DrillDump"]
    assert ends == [("FAILED", "DrillsOff"), ("SUCCEEDED", None)]


def test_without_the_setting_no_sweep_drills(world: World) -> None:
    like_the_first(world, 1)

    world.sweep()
    world.settle()

    assert drills(world) == []
