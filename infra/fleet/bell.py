"""The bell: one item of the fleet table. Whoever rings it makes sure that a plan begins after his ring.

An execution rings it, then takes it. If another one has it, that one plans again before it may release it: a release
needs that nobody has rung since the plan began. A holder that no longer runs is replaced, as with a provisioning lease.
"""

from typing import Any

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.states.tasks import ApiCall, task
from lambdas.fleet.table import BELL, HOLDER, RUNG

_KEY = {"pk": {"S": BELL}}
_MINE = {":mine": {"S.$": "$$.Execution.Id"}}
_REFUSED = ["DynamoDb.ConditionalCheckFailedException"]
_HOLDER = f"$.bell.Item.{HOLDER}.S"


def ring(scope: Construct, name: str, *, table: dynamodb.Table) -> sfn.CustomState:
    """A second ring, after a lost answer, costs no more than another plan."""
    values = {":one": {"N": "1"}}
    return _update(scope, name, table, f"ADD {RUNG} :one", "", values)


def release(scope: Construct, name: str, *, table: dynamodb.Table, on_rung: sfn.IChainable) -> sfn.CustomState:
    """Gives the bell back if nobody has rung it since the plan at `$.plan` began; leads to on_rung otherwise."""
    condition = f"{HOLDER} = :mine AND {RUNG} = :seen"
    values = {**_MINE, ":seen": {"N.$": "$.plan.seen"}}
    state = _update(scope, name, table, f"REMOVE {HOLDER}", condition, values)
    state.add_catch(on_rung, errors=_REFUSED, result_path="$.refused")
    return state


def give_up(scope: Construct, name: str, *, table: dynamodb.Table) -> sfn.CustomState:
    """Gives the bell back whether it was rung or not: who rang it is not answered by this execution."""
    return _update(scope, name, table, f"REMOVE {HOLDER}", f"{HOLDER} = :mine", _MINE)


class TakeBell(sfn.StateMachineFragment):
    """Take the bell, or leave it to its holder, whose plan will begin after the ring."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        table: dynamodb.Table,
        on_held: sfn.IChainable,
        on_failure: sfn.IChainable,
    ) -> None:
        super().__init__(scope, f"{title} states")
        # "holder = :mine" accepts a retry after a lost answer, and a further round.
        free = f"attribute_not_exists({HOLDER}) OR {HOLDER} = :mine"
        take = f"SET {HOLDER} = :mine"
        self._take = _update(self, title, table, take, free, _MINE)
        get = ApiCall("dynamodb", "getItem", {"TableName": table.table_name, "Key": _KEY, "ConsistentRead": True})
        look = task(self, "Look who holds the bell", get, result_path="$.bell")
        ask = task(
            self,
            "Ask whether the bell's holder is running",
            ApiCall("sfn", "describeExecution", {"ExecutionArn.$": _HOLDER}, {"status.$": "$.Status"}),
            result_path="$.holder",
        )
        theirs = {**_MINE, ":theirs": {"S.$": _HOLDER}}
        self._take_over = _update(self, "Take over the bell", table, take, f"{free} OR {HOLDER} = :theirs", theirs)
        is_held = sfn.Choice(self, "Is the bell still held?")
        # Released just now: only after a plan that began after this execution's ring.
        is_held.when(sfn.Condition.is_present(_HOLDER), ask).otherwise(on_held)
        is_running = sfn.Choice(self, "Is the bell's holder running?")
        is_running.when(sfn.Condition.string_equals("$.holder.status", "RUNNING"), on_held).otherwise(self._take_over)
        look.next(is_held)
        ask.next(is_running)
        self._take.add_catch(look, errors=_REFUSED, result_path="$.refused")
        # Another execution took it over first, and plans after this one's ring.
        self._take_over.add_catch(on_held, errors=_REFUSED, result_path="$.refused")
        ask.add_catch(self._take_over, errors=["Sfn.ExecutionDoesNotExistException"], result_path="$.refused")
        for state in (self._take, look, ask, self._take_over):
            state.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")

    @property
    def start_state(self) -> sfn.State:
        """The first attempt."""
        return self._take

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The two states that take it."""
        return [self._take, self._take_over]


def _update(
    scope: Construct, name: str, table: dynamodb.Table, change: str, condition: str, values: dict[str, Any]
) -> sfn.CustomState:
    parameters: dict[str, Any] = {"TableName": table.table_name, "Key": _KEY, "UpdateExpression": change}
    if condition:
        parameters["ConditionExpression"] = condition
    return task(scope, name, ApiCall("dynamodb", "updateItem", {**parameters, "ExpressionAttributeValues": values}))
