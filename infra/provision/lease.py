"""The lease in the incident table that allows only one provisioning or retirement of an instance at a time.

A lease names its execution. If that execution no longer runs (aborted, timed out), another one takes the lease over at
once. An expiry time would need arithmetic that JSONPath lacks, and would be too early or keep the owner waiting.
"""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.states.tasks import ApiCall, name_error, task
from lambdas.runtime.errors import ProvisioningInProgress

_KEY = {"pk": {"S.$": "States.Format('provisioning#{}', $.instanceId)"}}
_MINE = {":mine": {"S.$": "$$.Execution.Id"}}
_HOLDER = "$.lease.Item.holder.S"
_REFUSED = ["DynamoDb.ConditionalCheckFailedException"]


class TakeLease(sfn.StateMachineFragment):
    """Take the lease, or fail with ProvisioningInProgress at `$.failure`."""

    def __init__(self, scope: Construct, title: str, *, table: dynamodb.Table, on_failure: sfn.IChainable) -> None:
        super().__init__(scope, f"{title} states")
        self._table = table
        # "holder = :mine" accepts a retry after a lost answer.
        self._take = self._put(title, "attribute_not_exists(pk) OR holder = :mine", _MINE)
        check = self._get()
        ask = task(
            self,
            "Ask whether the holder is running",
            ApiCall("sfn", "describeExecution", {"ExecutionArn.$": _HOLDER}, {"status.$": "$.Status"}),
            result_path="$.holder",
        )
        self._take_over = self._put(
            "Take over provisioning lease",
            "attribute_not_exists(pk) OR holder = :mine OR holder = :theirs",
            {**_MINE, ":theirs": {"S.$": _HOLDER}},
        )
        busy = name_error(
            self,
            "Say that provisioning is in progress",
            ProvisioningInProgress,
            "'Another execution is provisioning or retiring {}. Wait for its end, then run this again.', $.instanceId",
            result_path="$.failure",
        )
        is_held = sfn.Choice(self, "Is the lease still held?")
        is_held.when(sfn.Condition.is_present(_HOLDER), ask).otherwise(busy)
        is_running = sfn.Choice(self, "Is the holder running?")
        is_running.when(sfn.Condition.string_equals("$.holder.status", "RUNNING"), busy).otherwise(self._take_over)
        busy.next(on_failure)
        check.next(is_held)
        ask.next(is_running)
        self._take.add_catch(check, errors=_REFUSED, result_path="$.refused")
        # Another execution took it over first.
        self._take_over.add_catch(busy, errors=_REFUSED, result_path="$.refused")
        # Step Functions forgets executions after 90 days; a lease that old can be taken over.
        ask.add_catch(self._take_over, errors=["Sfn.ExecutionDoesNotExistException"], result_path="$.refused")
        for state in (self._take, check, ask, self._take_over):
            state.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")

    def _put(self, name: str, condition: str, values: dict[str, dict[str, str]]) -> sfn.CustomState:
        item = {**_KEY, "holder": {"S.$": "$$.Execution.Id"}, "takenAt": {"S.$": "$$.State.EnteredTime"}}
        parameters = {
            "TableName": self._table.table_name,
            "Item": item,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        return task(self, name, ApiCall("dynamodb", "putItem", parameters))

    def _get(self) -> sfn.CustomState:
        parameters = {"TableName": self._table.table_name, "Key": _KEY, "ConsistentRead": True}
        return task(self, "Look who holds the lease", ApiCall("dynamodb", "getItem", parameters), result_path="$.lease")

    @property
    def start_state(self) -> sfn.State:
        """The first attempt."""
        return self._take

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The two states that take the lease."""
        return [self._take, self._take_over]


def release_lease(scope: Construct, name: str, *, table: dynamodb.Table) -> sfn.CustomState:
    """Give the lease back, if it is this execution's."""
    parameters = {
        "TableName": table.table_name,
        "Key": _KEY,
        "ConditionExpression": "attribute_not_exists(pk) OR holder = :mine",
        "ExpressionAttributeValues": _MINE,
    }
    return task(scope, name, ApiCall("dynamodb", "deleteItem", parameters))
