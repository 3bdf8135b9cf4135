"""The common end of CollectVmcore and RescueVmcore: conclude the incident, then succeed or fail by its verdict.

If the function cannot conclude, Step Functions itself records a verdict (without_function.py).
"""

from collections.abc import Mapping

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.conclude.without_function import ConcludeWithoutFunction
from infra.foundation.incidents import Incidents
from infra.states.explain_failure import ExplainFailure
from infra.states.state_machine import connect
from infra.states.tasks import ClosedFragment, FunctionCall, task_retrying_all_errors
from lambdas.incident.record import Verdict


class ConcludeIncident(ClosedFragment):
    """`$.facts` is the function's event; unknown facts are absent.

    `proven` is the verdict for a vmcore that opened; `succeeds` names the final state of each successful verdict.
    """

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        function: lambda_.Function,
        incidents: Incidents,
        proven: Verdict,
        succeeds: Mapping[Verdict, str],
    ) -> None:
        super().__init__(scope, f"{title} states")
        conclude = task_retrying_all_errors(
            self,
            title,
            FunctionCall(function, input_path="$.facts"),
            result_path="$.conclusion",
            comment="Without it nobody is notified of the incident; a retry continues where it stopped",
        )
        unreported = sfn.Fail(self, "Fail without a report", error_path="$.failure.Error", cause_path="$.failure.Cause")
        without = ConcludeWithoutFunction(
            self, "Is an incident opened?", incidents=incidents, proven=proven, then=unreported
        )
        explain = ExplainFailure(self, "Explain why there is no report", then=without.start_state)
        conclude.add_catch(explain.start_state, errors=["States.ALL"], result_path="$.failure")
        failed = sfn.Fail(
            self, "Fail with the verdict", error_path="$.conclusion.verdict", cause_path="$.conclusion.reason"
        )
        by_verdict = sfn.Choice(self, "Is the vmcore in the bucket?")
        for verdict, name in succeeds.items():
            end = sfn.Succeed(self, name, output_path="$.conclusion")
            by_verdict.when(sfn.Condition.string_equals("$.conclusion.verdict", verdict.value), end)
        connect(conclude, by_verdict.otherwise(failed))
        self._start = conclude
