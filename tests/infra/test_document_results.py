"""The paths that state machines read of a document's result: read_document_result gives each of them, or an error that
a state can catch. A path that leads nowhere is States.Runtime, which ends an execution without a verdict."""

import json
import re
from typing import Any

import pytest

from lambdas.instance.document_models import MODELS
from lambdas.instance.document_result import read_result
from lambdas.runtime.errors import UnexpectedResult
from tests.infra.template import MACHINES, Machine, Template

# Of each document the smallest result that is believed.
SMALLEST: dict[str, dict[str, Any]] = {
    "measure_dump": {"expectedDumpBytes": 2**30, "method": "meminfo"},
    "probe_instance": {},
    "prepare_dump_volume": {"status": "prepared"},
    "park_dump_volume park": {"status": "parked", "kernel": "6.1.0", "configId": "0123456789abcdef"},
    "park_dump_volume mount": {"status": "mounted"},
    "configure_kdump": {"status": "configured"},
    "check_kdump": {"ready": True, "findings": [], "kernel": "6.1.0", "configId": "0123456789abcdef"},
    "unconfigure_kdump": {"status": "unchanged", "volumeEmpty": False},
    "mount_dump_copy": {"status": "mounted"},
    "hang_instance": {"status": "hanging"},
    "upload_vmcore find": {"status": "complete"},
    "upload_vmcore upload": {},
    "upload_vmcore remove": {},
    "analyze_vmcore": {"status": "analysed"},
}


def _read(document: str, result: dict[str, Any]) -> dict[str, Any]:
    return read_result(document, {"Status": "Success", "StandardOutputContent": json.dumps(result)})


def _results(machine: Machine) -> dict[str, str]:
    """Where the result of a document is kept, and of which."""
    return {
        state["ResultPath"]: state["Parameters"]["document"]
        for name, state in machine.tasks().items()
        if name.endswith("(read result)")
    }


def _paths(machine: Machine) -> set[str]:
    reading = [
        {name: field for name, field in state.items() if name != "ResultPath"} for state in machine.states.values()
    ]
    return set(re.findall(r"\$(?:\.\w+(?:\[\d+\])*)+", json.dumps(reading)))


@pytest.mark.parametrize("document", SMALLEST)
def test_a_smaller_result_is_an_error_that_can_be_caught(document: str) -> None:
    smallest = SMALLEST[document]
    assert _read(document, smallest).items() >= smallest.items()
    for field in smallest:
        with pytest.raises(UnexpectedResult, match=field):
            _read(document, {name: value for name, value in smallest.items() if name != field})


def test_every_path_below_a_result_is_given_by_the_smallest_result(machine: Machine) -> None:
    results = _results(machine)
    assert set(results.values()) <= set(SMALLEST) <= set(MODELS)
    missing = []
    for path in _paths(machine):
        for result, document in results.items():
            if path.startswith(f"{result}."):
                value: Any = _read(document, SMALLEST[document])
                for field in path.removeprefix(f"{result}.").split("."):
                    if not isinstance(value, dict) or field not in value:
                        missing.append(f"{document}: {path}")
                        break
                    value = value[field]
    assert missing == []


def test_the_paths_below_results_are_found(template: Template) -> None:
    read = {path for name in MACHINES for path in _paths(template.machine(name))}
    assert {"$.kdump.kernel", "$.configuration.status", "$.seen.memoryBytes", "$.facts.found.status"} <= read
