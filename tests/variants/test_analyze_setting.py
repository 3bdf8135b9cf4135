"""The setting `analyze`: whether a vmcore is analysed by itself, when somebody asks, or never."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.simulator.copies import Copies
from lab.simulator.injection import ALWAYS, Fault, Site
from lab.simulator.world import SETTINGS, World, deployed
from tests.conftest import synthesize_once
from tests.simulator.test_rescue import cannot_be_started

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

In = Callable[[Callable[[World], Any]], Any]


@pytest.fixture(params=["automatic", "off"])
def setting(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def in_copy(setting: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[In]:
    """What a run in a copy of the deployed stack saw."""
    assembly = synthesize_once(tmp_path_factory, f"analyze-{setting}.out", {**SETTINGS, "analyze": setting})
    with deployed(assembly) as world:

        def run(scenario: Callable[[World], Any]) -> Any:
            copies = Copies()
            if copies.fork():
                try:
                    seen = scenario(world)
                except BaseException as error:
                    copies.leave_crashed(error)
                copies.leave({"seen": seen})
            (left,) = copies.wait()
            return left["seen"]

        yield run


def ends(world: World) -> list[str]:
    return [f"{each.state_machine.name}: {each.status}" for each in world.executions()]


def hang(world: World) -> dict[str, Any]:
    world.hang()
    denied = [str(each.denied) for each in world.permissions.decisions.values() if each.denied]
    analysed = "analysis.json" in world.objects_of(world.instance_id)
    (record,) = world.records().values()
    left = world.left_of_rescues(world.instance_id)
    return {"ends": ends(world), "denied": denied, "analysed": analysed, "verdict": record["verdict"], "left": left}


def lose(world: World) -> dict[str, Any]:
    cannot_be_started(world)
    return hang(world)


def hang_without_a_start(world: World) -> dict[str, Any]:
    site = Site("CollectVmcore / Start analysis", "stepfunctions:StartExecution")
    world.injection.begin([Fault(site, "refused", "StateMachineDoesNotExist", times=ALWAYS)])
    return hang(world)


def ask(world: World) -> dict[str, Any]:
    incident_id = world.hang()["output"]["incidentId"]
    return {**world.run("AnalyzeVmcore", incidentId=incident_id), "ends": ends(world)}


@pytest.mark.parametrize("setting", ["automatic"], indirect=True)
def test_automatic_analyses_what_was_collected_or_rescued_once_and_changes_no_verdict(in_copy: In) -> None:
    collected = in_copy(hang)
    assert collected["ends"] == ["CollectVmcore: SUCCEEDED", "AnalyzeVmcore: SUCCEEDED"]
    assert (collected["verdict"], collected["analysed"]) == ("captured", True)
    assert (collected["denied"], collected["left"]) == ([], [])

    rescued = in_copy(lose)
    assert sorted(rescued["ends"]) == [
        "AnalyzeVmcore: SUCCEEDED",
        "CollectVmcore: SUCCEEDED",
        "RescueVmcore: SUCCEEDED",
    ]
    assert (rescued["verdict"], rescued["analysed"], rescued["left"]) == ("rescued", True, [])

    unstarted = in_copy(hang_without_a_start)
    assert unstarted["ends"] == ["CollectVmcore: SUCCEEDED"]
    assert unstarted["verdict"] == "captured"


@pytest.mark.parametrize("setting", ["off"], indirect=True)
def test_off_refuses_with_the_name_of_the_setting(in_copy: In) -> None:
    asked = in_copy(ask)
    assert (asked["status"], asked["error"]) == ("FAILED", "AnalysisOff")
    assert "analyze" in asked["cause"]
    assert asked["ends"] == ["CollectVmcore: SUCCEEDED", "AnalyzeVmcore: FAILED"]
