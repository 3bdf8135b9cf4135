"""The bell of EnrolFleet: in whatever order four executions make their steps, no ring goes unanswered.

Every order is walked. A step that writes is the template's own expression, on moto's table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas.fleet.table import BELL, HOLDER, RUNG
from tests.infra.template import Template

# (how often it was rung, the execution that holds it)
Bell = tuple[int, str]
_OVER = ("done", "left", "dead")


@dataclass(frozen=True)
class Execution:
    """`step` is what it does next; `theirs`: whom it has seen hold the bell; `seen`: the rings that its plan saw."""

    step: str = "Ring the bell"
    theirs: str = ""
    seen: int = 0


@dataclass(frozen=True)
class World:
    bell: Bell
    executions: tuple[Execution, ...]
    # The rings that some plan has seen when it began.
    answered: int = 0

    def step(self, number: int, execution: Execution, bell: Bell | None = None, answered: int = 0) -> "World":
        changed = (*self.executions[:number], execution, *self.executions[number + 1 :])
        return World(bell or self.bell, changed, max(self.answered, answered))


@dataclass
class Steps:
    """The states' parameters, and what they do to the item: asked of moto once for each case."""

    parameters: dict[str, dict[str, Any]]
    client: Any
    known: dict[tuple[Any, ...], Bell | None] = field(default_factory=dict)

    def write(self, name: str, bell: Bell, me: str, execution: Execution) -> Bell | None:
        """The bell after it; None: refused."""
        case = (name, bell, me, execution.theirs, execution.seen)
        if case not in self.known:
            self.known[case] = self._write(name, bell, me, execution)
        return self.known[case]

    def _write(self, name: str, bell: Bell, me: str, execution: Execution) -> Bell | None:
        rung, holder = bell
        item = {"pk": {"S": BELL}, **({RUNG: {"N": str(rung)}} if rung else {})}
        self.client.put_item(TableName="fleet", Item=item | ({HOLDER: {"S": holder}} if holder else {}))
        paths = {
            "$$.Execution.Id": me,
            f"$.bell.Item.{HOLDER}.S": execution.theirs,
            "$.plan.seen": str(execution.seen),
        }
        try:
            self.client.update_item(**_resolved(self.parameters[name], paths) | {"TableName": "fleet"})
        except self.client.exceptions.ConditionalCheckFailedException:
            return None
        after = self.client.get_item(TableName="fleet", Key={"pk": {"S": BELL}})["Item"]
        return int(after[RUNG]["N"]), after.get(HOLDER, {}).get("S", "")


def _resolved(value: Any, paths: dict[str, str]) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        name.removesuffix(".$"): paths[member] if name.endswith(".$") else _resolved(member, paths)
        for name, member in value.items()
    }


@pytest.fixture
def steps(template: Template) -> Iterator[Steps]:
    states = template.machine("EnrolFleet").tasks()
    parameters = {name: state["Parameters"] for name, state in states.items() if "updateItem" in state["Resource"]}
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-1")
        client.create_table(
            TableName="fleet",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield Steps(parameters, client)


def _step(steps: Steps, world: World, number: int) -> World:
    """What one execution does next, as EnrolFleet's states follow each other."""
    execution, me = world.executions[number], str(number)
    rung, holder = world.bell
    if execution.step == "look":
        following = replace(execution, theirs=holder, step="ask") if holder else replace(execution, step="left")
        return world.step(number, following)
    if execution.step == "ask":
        is_running = world.executions[int(execution.theirs)].step not in _OVER
        return world.step(number, replace(execution, step="left" if is_running else "Take over the bell"))
    if execution.step == "plan":
        return world.step(number, replace(execution, seen=rung, step="Release the bell"), answered=rung)
    then, on_refusal = {
        "Ring the bell": ("Take the bell", ""),
        "Take the bell": ("plan", "look"),
        "Take over the bell": ("plan", "left"),
        "Release the bell": ("done", "Take the bell"),
    }[execution.step]
    after = steps.write(execution.step, world.bell, me, execution)
    if after is None:
        assert on_refusal, "a ring is never refused"
        return world.step(number, replace(execution, step=on_refusal))
    return world.step(number, replace(execution, step=then), after)


def _ends(steps: Steps, first: World, *, may_die: bool = False) -> set[World]:
    """Every world in which nothing is left to do."""
    waiting, seen, ends = [first], {first}, set()
    while waiting:
        world = waiting.pop()
        active = [n for n, each in enumerate(world.executions) if each.step not in _OVER]
        following = [_step(steps, world, number) for number in active]
        if may_die and 0 in active:
            following.append(world.step(0, replace(world.executions[0], step="dead")))
        ends |= set() if active else {world}
        for each in following:
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return ends


def _unanswered(ends: set[World]) -> list[World]:
    return [world for world in ends if world.answered < world.bell[0]]


def test_no_ring_of_four_executions_is_lost_and_nobody_keeps_the_bell(steps: Steps) -> None:
    ends = _ends(steps, World((0, ""), (Execution(),) * 4))

    assert len(ends) > 1
    assert _unanswered(ends) == []
    assert {world.bell for world in ends} == {(4, "")}


def test_a_release_without_its_condition_would_lose_rings(steps: Steps) -> None:
    """The walk can tell."""
    steps.parameters["Release the bell"] = steps.parameters["Hand the bell over"]

    assert _unanswered(_ends(steps, World((0, ""), (Execution(),) * 4)))


def test_whoever_rings_after_a_holder_has_died_is_answered(steps: Steps) -> None:
    """An execution that dies at any step; two others at the same time; one that comes later."""
    for end in _ends(steps, World((0, ""), (Execution(),) * 3), may_die=True):
        later = World(end.bell, (*end.executions, Execution()), end.answered)
        for last in _ends(steps, later):
            assert last.answered == last.bell[0]
            assert last.bell[1] == ""
