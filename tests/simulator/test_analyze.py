"""AnalyzeVmcore: the result lies beside the vmcore, and an end has a name."""

import json
from typing import Any

import pytest

from lab.simulator.modelled_documents import ANALYSIS, ModelledHost
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
