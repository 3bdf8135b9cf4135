"""The whole template and the state machines, as last agreed upon: a change shows in review as what it does in AWS.

After a change that was meant: `UPDATE_SNAPSHOTS=1 .venv/bin/python -m pytest tests/infra/test_snapshot.py`, then read
the difference in git.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.infra.template import MACHINES, Template

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = bool(os.environ.get("UPDATE_SNAPSHOTS"))


def _compare(name: str, content: dict[str, Any]) -> None:
    path = SNAPSHOTS / f"{name}.json"
    # Asset hashes follow every line of lambdas/.
    text = re.sub(r"[0-9a-f]{64}", "<hash>", json.dumps(content, indent=2, sort_keys=True)) + "\n"
    if UPDATE:
        path.write_text(text, encoding="utf-8")
    assert json.loads(text) == json.loads(path.read_text(encoding="utf-8")), "see the docstring of this file"


def test_the_template_is_the_one_agreed_upon(template: Template) -> None:
    content = json.loads(json.dumps(template.content))
    for resource in content["Resources"].values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            resource["Properties"]["DefinitionString"] = "<in a snapshot of its own>"
        if resource["Type"] == "AWS::SSM::Document":
            # The scripts have tests of their own; what is deployed around them is of interest here.
            resource["Properties"]["Content"]["mainSteps"][0]["inputs"]["runCommand"] = "<the assembled script>"
    _compare("template", content)


@pytest.mark.parametrize("name", MACHINES)
def test_the_state_machine_is_the_one_agreed_upon(template: Template, name: str) -> None:
    _compare(name, template.machine(name).definition)
