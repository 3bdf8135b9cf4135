"""Reads a synthesized template: resources by type, state machines as dictionaries, roles with their statements."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from infra.synth import TEMPLATE

MACHINES = (
    *("ProvisionDumpVolume", "CollectVmcore", "RescueVmcore", "AnalyzeVmcore", "EnrolFleet", "RetireInstance"),
    "DrillDump",
)
# The children of a Distributed Map: state machines of their own within one.
CHILDREN = ("EnrolFleet / Enrol the instances",)


@dataclass(frozen=True)
class Machine:
    """A state machine's definition, with what only a deployment knows replaced by `${LogicalId}`."""

    name: str
    definition: dict[str, Any]

    @property
    def is_child(self) -> bool:
        """Whether its executions are those of a map."""
        return self.name in CHILDREN

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """Its states by name; a map without its children's."""
        return {
            name: {field: value for field, value in state.items() if field != "ItemProcessor"}
            for name, state in self.definition["States"].items()
        }

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Its Task states by name."""
        return {name: state for name, state in self.states.items() if state["Type"] == "Task"}

    def reachable_from(self, *names: str) -> set[str]:
        """Every state that can follow these, they themselves included."""
        seen: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(followers(self.states[name]))
        return seen


def followers(state: dict[str, Any], *, with_catches: bool = True) -> list[str]:
    """The names of the states that may come right after a state."""
    names = [state[key] for key in ("Next", "Default") if key in state]
    names += [choice["Next"] for choice in state.get("Choices", [])]
    if with_catches:
        names += [catch["Next"] for catch in state.get("Catch", [])]
    return names


class Template:
    """A CloudFormation template."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.resources: dict[str, dict[str, Any]] = content["Resources"]

    @classmethod
    def read(cls, assembly: Path) -> Self:
        """The template in a cloud assembly."""
        return cls(json.loads((assembly / TEMPLATE).read_text(encoding="utf-8")))

    def of_type(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """Properties by logical id."""
        return {
            logical_id: resource.get("Properties", {})
            for logical_id, resource in self.resources.items()
            if resource["Type"] == resource_type
        }

    def machine(self, name: str) -> Machine:
        """The state machine of that name, or the children of one of its states."""
        name, _, map_state = name.partition(" / ")
        if map_state:
            parent = self.machine(name).definition
            # They end with their parent.
            child = {**parent["States"][map_state]["ItemProcessor"], "TimeoutSeconds": parent["TimeoutSeconds"]}
            return Machine(f"{name} / {map_state}", child)
        for properties in self.of_type("AWS::StepFunctions::StateMachine").values():
            if properties["StateMachineName"] == name:
                return Machine(name, json.loads(flatten(properties["DefinitionString"])))
        raise KeyError(name)

    def statements(self, role_logical_id: str) -> list[dict[str, Any]]:
        """What a role may do, over all its policies."""
        statements: list[dict[str, Any]] = []
        for policy in self.of_type("AWS::IAM::Policy").values():
            if {"Ref": role_logical_id} in policy["Roles"]:
                statements += policy["PolicyDocument"]["Statement"]
        return statements

    def all_statements(self) -> Iterator[dict[str, Any]]:
        """Every statement of every identity policy."""
        for policy in self.of_type("AWS::IAM::Policy").values():
            yield from policy["PolicyDocument"]["Statement"]

    def role_of(self, properties: dict[str, Any], key: str = "Role") -> str:
        """The logical id of the role that a function or state machine runs as."""
        role: str = properties[key]["Fn::GetAtt"][0]
        return role


def actions(statement: dict[str, Any]) -> list[str]:
    """A statement's actions as a list."""
    value = statement["Action"]
    return value if isinstance(value, list) else [value]


def resources(statement: dict[str, Any]) -> list[str]:
    """A statement's resources, flattened."""
    value = statement["Resource"]
    return [flatten(each) for each in (value if isinstance(value, list) else [value])]


def flatten(value: Any) -> str:
    """A string with intrinsic functions as one string: `arn:${AWS::Partition}:…`."""
    if isinstance(value, str):
        return value
    if "Ref" in value:
        return f"${{{value['Ref']}}}"
    if "Fn::GetAtt" in value:
        return "${" + ".".join(value["Fn::GetAtt"]) + "}"
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        joined = separator.join(flatten(part) for part in parts)
        assert isinstance(joined, str)
        return joined
    raise ValueError(f"cannot flatten {value}")
