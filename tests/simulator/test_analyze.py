"""AnalyzeVmcore: the result lies beside the vmcore, and an end has a name."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lab.simulator.injection import ALWAYS, Fault, Site
from lab.simulator.modelled_documents import ANALYSIS, ModelledHost
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World


def analyze(world: World, **tags: str) -> tuple[dict[str, Any], ModelledHost]:
    """A hang, and the analysis of its vmcore on another host."""
    incident_id = world.hang()["output"]["incidentId"]
    host, host_id = world.add_host(tags=tags)
    return world.run("AnalyzeVmcore", incidentId=incident_id, analysisInstanceId=host_id), host


def test_the_result_lies_beside_the_vmcore_and_in_the_report(world: World) -> None:
    ended, _ = analyze(world, **{"hangdump:analysis-host": "true"})

    assert ended["output"]["status"] == "analysed"
    objects = world.objects_of(world.instance_id)
    assert json.loads(objects["analysis.json"]) == ANALYSIS
    assert b"planted-task" in objects["report.html"]


def test_a_host_that_nobody_gave_for_it_is_sent_nothing(world: World) -> None:
    ended, host = analyze(world)

    assert (ended["status"], ended["error"]) == ("FAILED", "AnalysisHostRefused")
    assert host.documents_run == []


def test_an_analysis_that_fails_ends_with_its_name(world: World) -> None:
    host, host_id = world.add_host(tags={"hangdump:analysis-host": "true"})
    host.fails_with["analyze_vmcore"] = {"error": "DebuginfoNotFound", "message": "no debuginfo of 6.1.0-28"}
    incident_id = world.hang()["output"]["incidentId"]

    ended = world.run("AnalyzeVmcore", incidentId=incident_id, analysisInstanceId=host_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "DebuginfoNotFound")
    assert "no debuginfo of 6.1.0-28" in ended["cause"]


@pytest.mark.parametrize("given", [{}, {"incidentId": 7}], ids=["nothing", "no-text"])
def test_input_that_names_no_incident_is_told_so(world: World, given: dict[str, object]) -> None:
    ended = world.run("AnalyzeVmcore", **given)

    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidInput")
    assert "incidentId" in ended["cause"]


def lives(world: World) -> list[str]:
    """What executions made and is still there."""
    return world.left_of_rescues(world.instance_id)


def analyze_alone(world: World) -> dict[str, Any]:
    """A hang, and the analysis of its vmcore without a host."""
    incident_id = world.hang()["output"]["incidentId"]
    return world.run("AnalyzeVmcore", incidentId=incident_id)


def test_a_twin_of_the_instance_analyses_the_vmcore_and_is_gone(world: World) -> None:
    ended = analyze_alone(world)

    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(world.objects_of(world.instance_id)["analysis.json"]) == ANALYSIS
    (twin,) = world.collectors
    assert twin.documents_run == ["analyze_vmcore"]
    assert not twin.is_on
    assert lives(world) == []


def test_a_twin_has_the_image_of_its_instance_and_a_disk_for_the_dump(world: World) -> None:
    analyze_alone(world)

    ec2 = world.account.state.backend("ec2")
    own = ec2.get_instance(world.instance_id)
    (twin,) = [each for each in ec2.all_instances() if "hangdump:rescue" in str(each.get_tags())]
    assert (twin.image_id, twin.instance_type) == (own.image_id, "m5.large")
    assert twin.instance_initiated_shutdown_behavior == "terminate"
    assert twin.metadata_options.http_tokens == "required"


def test_a_twin_outlives_the_instance(world: World) -> None:
    """EC2 forgets a terminated instance; the record says from what it was launched, and where it was."""
    incident_id = world.hang()["output"]["incidentId"]
    image = world.account.state.backend("ec2").get_instance(world.instance_id).image_id
    assert world.records()[incident_id]["launchedFrom"]["ImageId"] == image
    world.account.client("ec2").terminate_instances(InstanceIds=[world.instance_id])
    scheduler.sleep(7200)

    assert world.run("AnalyzeVmcore", incidentId=incident_id)["status"] == "SUCCEEDED"


def lack_capacity(world: World) -> None:
    world.account.refuse("RunInstances", "InsufficientInstanceCapacity")


def lose_image(world: World) -> None:
    image = world.account.state.backend("ec2").get_instance(world.instance_id).image_id
    world.account.client("ec2").deregister_image(ImageId=image)


def let_twins(change: Callable[[ModelledHost], None]) -> Callable[[World], None]:
    def arrange(world: World) -> None:
        world.prepare_collector = change

    return arrange


def die_at_start(twin: ModelledHost) -> None:
    twin.is_broken = True


def never_answer(twin: ModelledHost) -> None:
    twin.boot_seconds = 1e9


def find_no_symbols(twin: ModelledHost) -> None:
    twin.fails_with["analyze_vmcore"] = {"error": "DebuginfoNotFound", "message": "no debuginfo of 6.1.0-28"}


@pytest.mark.parametrize(
    ("arrange", "error", "cause"),
    [
        pytest.param(lack_capacity, "TwinNotLaunched", "No instance can be launched now", id="no capacity"),
        pytest.param(lose_image, "TwinImageUnavailable", '"analysisInstanceId"', id="the image is gone"),
        pytest.param(let_twins(die_at_start), "TwinDied", "instead of running", id="the twin dies"),
        pytest.param(let_twins(never_answer), "TwinSilent", "was not online within", id="its agent is silent"),
        pytest.param(let_twins(find_no_symbols), "DebuginfoNotFound", "no debuginfo of", id="the document fails"),
    ],
)
def test_an_analysis_without_a_host_that_fails_has_a_name_and_leaves_nothing(
    world: World, arrange: Callable[[World], None], error: str, cause: str
) -> None:
    incident_id = world.hang()["output"]["incidentId"]
    before = world.records()[incident_id]
    arrange(world)

    ended = world.run("AnalyzeVmcore", incidentId=incident_id)

    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert cause in ended["cause"]
    assert lives(world) == []
    after = world.records()[incident_id]
    assert {**after, "timeline": []} == {**before, "timeline": []}


def test_the_sweep_ends_the_twin_of_an_aborted_analysis_and_of_no_live_one(world: World) -> None:
    """It leaves alone what is younger than an hour."""
    incident_id = world.hang()["output"]["incidentId"]
    world.prepare_collector = never_answer
    analysis = world.start("AnalyzeVmcore", incidentId=incident_id)
    scheduler.run(until=lambda: bool(lives(world)), seconds=3600)
    made = lives(world)
    world.make_older(made, hours=2)

    world.sweep()

    assert (analysis.status, lives(world)) == ("RUNNING", made)
    world.account.client("stepfunctions").stop_execution(executionArn=analysis.exec_arn)
    world.settle()
    assert lives(world) == made
    found = world.sweep()
    assert [each["kind"] for each in found if each["subject"] == made[0]] == ["analysis-twin"]
    scheduler.sleep(60)
    world.sweep()
    assert lives(world) == []
    assert world.records()[incident_id]["verdict"] == "captured"


def test_two_analyses_of_one_incident_have_a_twin_each(world: World) -> None:
    incident_id = world.hang()["output"]["incidentId"]
    both = [world.start("AnalyzeVmcore", incidentId=incident_id) for _ in range(2)]
    world.settle()

    assert [each.status for each in both] == ["SUCCEEDED", "SUCCEEDED"]
    assert [each.documents_run for each in world.collectors] == [["analyze_vmcore"]] * 2
    assert lives(world) == []


def test_a_twin_that_cannot_be_removed_is_told_of_and_left_to_the_sweep(world: World) -> None:
    incident_id = world.hang()["output"]["incidentId"]
    site = Site("remove_rescue", "ec2:TerminateInstances")
    world.injection.begin([Fault(site, "refused", "RequestLimitExceeded", times=ALWAYS)])

    ended = world.run("AnalyzeVmcore", incidentId=incident_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "TwinNotRemoved")
    assert "analysis.json" in world.objects_of(world.instance_id)
    assert lives(world)[0] in ended["cause"]
    world.make_older(lives(world), hours=2)
    world.sweep()
    scheduler.sleep(60)
    assert lives(world) == []
