"""drill: what it plans, starts and tells; and how `why` shows a proof."""

import pytest

from lab.simulator.world import World
from lambdas.runtime.stack_parameter import KILL_SWITCH_PARAMETER
from tests.hangdump_cli.runner import answer, hangdump


def _started(world: World) -> list[str]:
    return [each.state_machine.name for each in world.executions()]


def switch_off(world: World) -> None:
    world.account.client("ssm").put_parameter(Name=KILL_SWITCH_PARAMETER, Value="off", Overwrite=True)


def test_a_plan_of_a_drill_tells_the_twin_and_touches_nothing(world: World) -> None:
    said = hangdump("drill", "--plan", world.instance_id)

    assert said.exit_code == 0, said.output
    for words in (world.instance_id, "t3.micro of ami-", "8 GiB", "real-time", "Nothing was touched"):
        assert words in said.stdout
    assert _started(world) == []


def test_a_plan_names_what_would_refuse_the_drill(world: World) -> None:
    switch_off(world)

    plan = answer("drill", "--plan", world.instance_id)

    assert (plan["isPossible"], plan["obstacle"]) == (False, "DrillsOff")
    assert hangdump("drill", world.instance_id, "--yes").exit_code == 4
    assert _started(world) == []


def test_a_drill_asks_for_the_instance_and_starts_nothing_without_it(world: World) -> None:
    said = hangdump("drill", world.instance_id, typed="yes\n")

    assert said.exit_code == 4
    assert "crashes the twin" in said.stderr
    assert _started(world) == []


def test_a_drill_is_followed_to_its_proof_which_why_shows(world: World) -> None:
    before = hangdump("why", world.instance_id).stdout
    assert f"never proven: hangdump drill {world.instance_id}" in before

    said = hangdump("drill", world.instance_id, "--hourly-usd", "0.0104", typed=f"{world.instance_id}\n")

    assert said.exit_code == 0, said.output
    for words in ("captured", "kernel 6.1.0-28-cloud-amd64", "0.01 USD for the instance", "provision", "are removed"):
        assert words in said.stdout
    assert "a dump was proven with this image and kernel on" in hangdump("why", world.instance_id).stdout
    assert answer("why", world.instance_id)["proof"]["verdict"] == "captured"


def test_a_drill_that_fails_ends_with_its_error_and_the_next_step(world: World) -> None:
    world.account.refuse("RunInstances", "InsufficientInstanceCapacity")

    said = hangdump("drill", world.instance_id, "--yes")

    assert said.exit_code == 1
    assert "No instance can be launched now" in said.stderr
    assert "DrillDump again later" in said.stderr


def test_a_drill_within_the_cooldown_is_refused(world: World) -> None:
    assert hangdump("drill", world.instance_id, "--yes").exit_code == 0
    assert hangdump("drill", world.instance_id, "--yes").exit_code == 4


@pytest.mark.parametrize("arguments", [["--hang", "slowly"], ["web-1"]], ids=["no way to hang", "no id"])
def test_a_wrong_use_of_drill_starts_nothing(world: World, arguments: list[str]) -> None:
    said = hangdump("drill", *arguments, *([world.instance_id] if "--hang" in arguments else []))
    assert said.exit_code == 2
    assert _started(world) == []


def test_a_drill_that_nobody_waits_for_says_its_execution(world: World) -> None:
    said = hangdump("drill", world.instance_id, "--yes", "--no-wait")

    assert said.exit_code == 0
    assert ":execution:DrillDump:" in said.stdout
