"""What EnrolFleet does for one item of its work list: the states of the map's children.

Each child notes its outcome and succeeds: what goes wrong with one instance is said in its row, and ends nothing.
"""

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation.functions import Function
from infra.states.poll import polling
from infra.states.run_execution import start_execution, watch_execution
from infra.states.tasks import FunctionCall, set_fields, task

# A child has a history of its own, but all of them share the account's rate of DescribeExecution.
_LEAST_POLL_SECONDS = 60
_MAX_POLLS = 200


class EnrolInstance(Construct):
    """`definition` is the ItemProcessor of a Distributed Map."""

    def __init__(  # noqa: PLR0913 - what the children start and call
        self,
        scope: Construct,
        construct_id: str,
        *,
        provision_arn: str,
        longest_seconds: int,
        retire_instance: Function,
        note_provisioning: Function,
        poll_seconds: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self._note_provisioning = note_provisioning
        # Together they must not be larger than what a map may answer.
        self._end = sfn.Pass(self, "Answer nothing", parameters={"noted": True})
        self._end.next(sfn.Succeed(self, "Leave the item"))
        on_failure = self._note("Note the failure", {"failure.$": "$.failure"})

        retire = task(
            self,
            "Retire instance",
            FunctionCall(retire_instance, {"instanceId.$": "$.instanceId"}),
            result_path="$.retired",
        )
        retire.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")
        retire.next(self._note("Note the retirement", {"isRetired": True}))

        start = start_execution(
            self,
            "Start provisioning",
            machine_arn=provision_arn,
            name="$.name",
            given="$.input",
            result_path="$.started",
        )
        expect = set_fields(self, "Expect its end", {"Status": "RUNNING"}, result_path="$.seen")
        # An earlier attempt of this child started it.
        start.add_catch(expect, errors=["Sfn.ExecutionAlreadyExistsException"], result_path="$.known")
        start.add_catch(on_failure, errors=["States.ALL"], result_path="$.failure")
        note = self._note("Note the outcome", {"seen.$": "$.seen"})
        watch = watch_execution(
            self,
            "Watch the provisioning",
            look="Look at the provisioning",
            execution_arn="$.executionArn",
            result_path="$.seen",
            polling=polling(longest_seconds, max(_LEAST_POLL_SECONDS, poll_seconds), max_polls=_MAX_POLLS),
            then=note,
            late=note,
        )
        start.next(expect).next(watch)

        self._start = sfn.Wait(self, "Wait for its turn", time=sfn.WaitTime.timestamp_path("$.notBefore"))
        is_to_retire = sfn.Choice(self, "Is the instance to be retired?")
        is_to_retire.when(sfn.Condition.string_equals("$.action", "retire"), retire).otherwise(start)
        self._start.next(is_to_retire)

    @property
    def definition(self) -> Mapping[str, Any]:
        """With a mode in which each item is an execution of its own."""
        graph = sfn.StateGraph(self._start, "Enrol or retire one instance").to_graph_json()
        return {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **graph}

    def _note(self, name: str, what: Mapping[str, Any]) -> sfn.CustomState:
        payload = {"instanceId.$": "$.instanceId", "executionArn.$": "$.executionArn", **what}
        state = task(self, name, FunctionCall(self._note_provisioning, payload))
        # The claim of the plan stays in the row: it is tried again after an hour.
        state.add_catch(self._end, errors=["States.ALL"], result_path="$.unnoted")
        state.next(self._end)
        return state
