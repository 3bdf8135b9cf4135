"""What the template holds, as last agreed upon: a change shows in review as what it does in AWS.

One line a resource, a statement of a policy and a state of a machine. After a change that was meant:
`UPDATE_SNAPSHOTS=1 .venv/bin/python -m pytest tests/infra/test_snapshot.py`, then read the difference in git.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infra.template import CHILDREN, MACHINES, Template, flatten

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = bool(os.environ.get("UPDATE_SNAPSHOTS"))
# Scripts, queries and the dashboard have tests of their own.
_LONGEST_TEXT = 300
_LONGEST_LIST = 24


def _compare(name: str, lines: Iterator[str]) -> None:
    path = SNAPSHOTS / f"{name}.txt"
    # Asset hashes follow every line of lambdas/.
    text = re.sub(r"[0-9a-f]{64}", "<hash>", "\n".join(lines)) + "\n"
    if UPDATE:
        path.write_text(text, encoding="utf-8")
    assert text.splitlines() == path.read_text(encoding="utf-8").splitlines(), "see the docstring of this file"


def _short(value: Any) -> Any:
    """Intrinsic functions as `${…}`, long texts cut."""
    if isinstance(value, dict):
        try:
            value = flatten(value)
        except ValueError:
            return {key: _short(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value] if len(value) <= _LONGEST_LIST else f"… {len(value)} entries"
    return f"{value[:60]}…" if isinstance(value, str) and len(value) > _LONGEST_TEXT else value


def _line(value: Any) -> str:
    return json.dumps(_short(value), sort_keys=True, ensure_ascii=False)


def _inventory(template: Template) -> Iterator[str]:
    by_type = sorted(template.resources.items(), key=lambda each: (each[1]["Type"], each[0]))
    for logical_id, resource in by_type:
        properties = dict(resource.get("Properties", {}))
        kept = f" ({resource['DeletionPolicy']})" if resource.get("DeletionPolicy", "Delete") != "Delete" else ""
        policy = properties.pop("PolicyDocument", None)
        properties.pop("DefinitionString", None)
        if resource["Type"] == "AWS::SSM::Document":
            properties["Content"] = sorted(properties["Content"].get("parameters", {}))
        yield f"{resource['Type']} {logical_id}{kept} {_line(properties)}"
        for statement in (policy or {}).get("Statement", []):
            yield f"    {_line(statement)}"
    for section in ("Parameters", "Outputs"):
        for name, content in sorted(template.content[section].items()):
            yield f"{section} {name} {_line(content)}"


def test_the_template_is_the_one_agreed_upon(template: Template) -> None:
    _compare("template", _inventory(template))


@pytest.mark.parametrize("name", [*MACHINES, *CHILDREN])
def test_the_state_machine_is_the_one_agreed_upon(template: Template, name: str) -> None:
    machine = template.machine(name)
    head = {field: value for field, value in machine.definition.items() if field != "States"}
    states = sorted(machine.states.items())
    lines = [_line(head), *(f"{state}: {json.dumps(body, sort_keys=True)}" for state, body in states)]
    _compare(name.replace(" / ", ", "), iter(lines))
