"""AnalyzeVmcore, interpreted from the synthesized template: the host really fetches, and really sends."""

import json

import pytest

from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost

# In place of a Python with drgn and the debuginfo of this kernel, which tests/guest has.
PYTHON = """\
#!/bin/bash
if [[ "$1" == -c ]]; then exit 0; fi
{then}
"""
ANALYSIS = {
    "kernelRelease": "6.1.0-28-cloud-amd64",
    "isSymbolsMatched": True,
    "blockedTasks": [{"name": "planted-task", "pid": 7, "seconds": 3.5, "backtrace": []}],
}


@pytest.fixture
def incident_id(stack: Stack, host: SimulatedHost, instance_id: str) -> str:
    """Of an instance whose vmcore is in the bucket."""
    host.panic()
    ended = stack.run("CollectVmcore", instanceId=instance_id)
    assert ended["status"] == "SUCCEEDED", ended
    found: str = ended["output"]["incidentId"]
    return found


@pytest.fixture
def analysis_host(stack: Stack) -> SimulatedHost:
    host = SimulatedHost()
    host.machine.root.joinpath("var/tmp").mkdir(parents=True)
    return host


def add(stack: Stack, host: SimulatedHost, **tags: str) -> str:
    instance_id = stack.account.add_instance(host.machine, tags=tags)
    stack.wait_until_online(instance_id)
    return instance_id


def install_python(host: SimulatedHost, then: str) -> None:
    python = host.machine.root / "var/lib/hangdump/analysis/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON.format(then=then))
    python.chmod(0o755)


def test_the_result_lies_beside_the_vmcore_and_in_the_report(
    stack: Stack, instance_id: str, incident_id: str, analysis_host: SimulatedHost
) -> None:
    install_python(analysis_host, f"cat >\"${{@: -1}}\" <<'END'\n{json.dumps(ANALYSIS)}\nEND")
    host_id = add(stack, analysis_host, **{"hangdump:analysis-host": "true"})

    ended = stack.run("AnalyzeVmcore", incidentId=incident_id, analysisInstanceId=host_id)

    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["status"] == "analysed"
    objects = stack.objects_of(instance_id)
    assert json.loads(objects["analysis.json"]) == ANALYSIS
    assert b"planted-task" in objects["report.html"]
    assert list(analysis_host.machine.root.glob("var/tmp/*")) == []


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ("DebuginfoNotFound: no debuginfo of 6.1.0-28", "DebuginfoNotFound"),
        ("Killed", "AnalysisFailed"),
    ],
)
def test_an_analysis_that_fails_ends_with_its_name(
    stack: Stack, incident_id: str, analysis_host: SimulatedHost, says: str, error: str
) -> None:
    install_python(analysis_host, f"echo '{says}' >&2; exit 1")
    host_id = add(stack, analysis_host, **{"hangdump:analysis-host": "true"})

    ended = stack.run("AnalyzeVmcore", incidentId=incident_id, analysisInstanceId=host_id)

    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert says.rsplit(": ", maxsplit=1)[-1] in ended["cause"]


def test_a_host_that_nobody_gave_for_it_is_sent_nothing(
    stack: Stack, incident_id: str, analysis_host: SimulatedHost
) -> None:
    host_id = add(stack, analysis_host)

    ended = stack.run("AnalyzeVmcore", incidentId=incident_id, analysisInstanceId=host_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "AnalysisHostRefused")
    assert analysis_host.calls == []


@pytest.mark.parametrize("given", [{}, {"incidentId": 7}], ids=["nothing", "no-text"])
def test_input_that_names_no_incident_is_told_so(stack: Stack, given: dict[str, object]) -> None:
    ended = stack.run("AnalyzeVmcore", **given)
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidInput")
    assert "incidentId" in ended["cause"]
