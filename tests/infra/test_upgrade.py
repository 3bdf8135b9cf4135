"""What an upgrade from the last release does to a stack that lives: nothing is replaced, nothing of value goes.

releases/ holds the template of the last release, with the default settings. After a release:
`UPDATE_RELEASE=1 .venv/bin/python -m pytest tests/infra/test_upgrade.py`.
"""

import json
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from lambdas.runtime.stack_parameter import KILL_SWITCH_PARAMETER
from tests.infra.template import Template

RELEASE = Path(__file__).parent / "releases" / "last.template.json.xz"

Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def before(template: Template) -> Resources:
    if os.environ.get("UPDATE_RELEASE"):
        text = json.dumps(template.content, sort_keys=True, separators=(",", ":"))
        RELEASE.write_bytes(lzma.compress(text.encode(), preset=9))
    resources: Resources = json.loads(lzma.decompress(RELEASE.read_bytes()))["Resources"]
    return resources


@pytest.fixture(scope="module")
def after(template: Template) -> Resources:
    return template.resources


def _replacing(resource: dict[str, Any]) -> Iterator[str]:
    """The properties whose change replaces the resource, as the provider's schema names them."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
    for pointer in (*schema.get("createOnlyProperties", []), *schema.get("conditionalCreateOnlyProperties", [])):
        is_new_version = resource.get("Properties", {}).get("UpdateMethod") == "NewVersion"
        if not (is_new_version and resource["Type"] == "AWS::SSM::Document" and pointer == "/properties/Content"):
            yield pointer


def _at(resource: dict[str, Any], pointer: str) -> Any:
    value: Any = resource.get("Properties", {})
    for name in pointer.removeprefix("/properties/").split("/"):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def test_nothing_is_replaced(before: Resources, after: Resources) -> None:
    seen = 0
    for logical_id, resource in before.items():
        if logical_id not in after:
            continue
        assert after[logical_id]["Type"] == resource["Type"], logical_id
        for pointer in _replacing(resource):
            seen += 1
            assert _at(after[logical_id], pointer) == _at(resource, pointer), f"{logical_id}: {pointer}"
    assert seen > 100


def test_what_holds_evidence_stays_under_its_logical_id(before: Resources, after: Resources) -> None:
    kept = {name for name, resource in before.items() if resource.get("UpdateReplacePolicy", "Delete") != "Delete"}
    assert len(kept) == 4
    assert kept <= set(after)


def test_no_property_of_the_kill_switch_changes(before: Resources, after: Resources) -> None:
    """CloudFormation's handler writes the whole parameter on any change but tags, and so `off` back to `on`."""
    ((logical_id, switch),) = [
        each
        for each in before.items()
        if each[1]["Type"] == "AWS::SSM::Parameter" and each[1]["Properties"]["Name"] == KILL_SWITCH_PARAMETER
    ]
    assert {**after[logical_id]["Properties"], "Tags": None} == {**switch["Properties"], "Tags": None}


def test_at_most_one_index_of_the_table_changes(before: Resources, after: Resources) -> None:
    """CloudFormation makes or removes one index an update, and refuses a second."""
    ((logical_id, table),) = [each for each in before.items() if each[1]["Type"] == "AWS::DynamoDB::Table"]
    old, new = (
        {each["IndexName"]: each for each in resource["Properties"]["GlobalSecondaryIndexes"]}
        for resource in (table, after[logical_id])
    )
    changed = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    assert len(changed) <= 1, changed
