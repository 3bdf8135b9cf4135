"""The end that CollectVmcore and RescueVmcore share: the incident is concluded, and the execution ends by its verdict.

When the function cannot conclude, Step Functions itself leaves a verdict (conclude_without_function.py).
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
    """Reads `$.facts`, as it is the function's event: absent keys are what is not known.

    `proven` is the verdict of a vmcore that was opened; `succeeds` names the end of each verdict that is a success.
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
            comment="Without it nobody hears of the incident; entered again it goes on where it was",
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
