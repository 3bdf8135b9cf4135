"""AnalyzeVmcore: the host really fetches, and really sends."""

import json

import pytest

from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost

pytestmark = pytest.mark.slow

# In place of a Python with drgn and the debuginfo of this kernel, which tests/guest has.
PYTHON = """\
#!/bin/bash
if [[ "$1" == -c ]]; then exit 0; fi
cat <<'END'
{analysis}
END
"""
ANALYSIS = {
    "kernelRelease": "6.1.0-28-cloud-amd64",
    "isSymbolsMatched": True,
    "blockedTasks": [{"name": "planted-task", "pid": 7, "seconds": 3.5, "backtrace": []}],
}


def analysis_host() -> SimulatedHost:
    host = SimulatedHost()
    host.machine.root.joinpath("var/tmp").mkdir(parents=True)
    python = host.machine.root / "var/lib/hangdump/analysis/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON.format(analysis=json.dumps(ANALYSIS)))
    python.chmod(0o755)
    return host


def test_the_result_lies_beside_the_vmcore_and_in_the_report(stack: Stack, host: SimulatedHost) -> None:
    instance_id = stack.add(host, **{"hangdump:enrolled": "true"})
    host.panic()
    stack.wait_until_online(instance_id)
    collected = stack.run("CollectVmcore", instanceId=instance_id)
    assert collected["status"] == "SUCCEEDED", collected
    reader = analysis_host()
    reader_id = stack.add(reader, **{"hangdump:analysis-host": "true"})

    ended = stack.run("AnalyzeVmcore", incidentId=collected["output"]["incidentId"], analysisInstanceId=reader_id)

    assert ended["status"] == "SUCCEEDED", ended
    objects = stack.objects_of(instance_id)
    assert json.loads(objects["analysis.json"]) == ANALYSIS
    assert b"planted-task" in objects["report.html"]
    assert list(reader.machine.root.glob("var/tmp/*")) == []
