"""The common end of CollectVmcore and RescueVmcore: conclude the incident, then succeed or fail by its verdict.

If the function cannot conclude, Step Functions itself records a verdict (without_function.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.conclude.without_function import ConcludeWithoutFunction
from infra.foundation.incidents import Incidents
from infra.states.explain_failure import ExplainFailure
from infra.states.state_machine import connect
from infra.states.tasks import ApiCall, ClosedFragment, FunctionCall, set_fields, task, task_retrying_all_errors
from lambdas.incident.record import Verdict


@dataclass(frozen=True)
class Endings:
    """The successful ends of a machine."""

    # The verdict for a vmcore that opened.
    proven: Verdict
    # The final state of each successful verdict.
    succeeds: Mapping[Verdict, str]
    # The ARN of the machine that is started after `proven`; "": none.
    analyze: str = ""


class ConcludeIncident(ClosedFragment):
    """`$.facts` is the function's event; unknown facts are absent."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        function: lambda_.Function,
        incidents: Incidents,
        endings: Endings,
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
            self, "Is an incident opened?", incidents=incidents, proven=endings.proven, then=unreported
        )
        explain = ExplainFailure(self, "Explain why there is no report", then=without.start_state)
        conclude.add_catch(explain.start_state, errors=["States.ALL"], result_path="$.failure")
        failed = sfn.Fail(
            self, "Fail with the verdict", error_path="$.conclusion.verdict", cause_path="$.conclusion.reason"
        )
        by_verdict = sfn.Choice(self, "Is the vmcore in the bucket?")
        for verdict, name in endings.succeeds.items():
            end: sfn.State = sfn.Succeed(self, name, output_path="$.conclusion")
            if endings.analyze and verdict is endings.proven:
                end = self._start_analysis(endings.analyze, end)
            by_verdict.when(sfn.Condition.string_equals("$.conclusion.verdict", verdict.value), end)
        connect(conclude, by_verdict.otherwise(failed))
        self._start = conclude

    def _start_analysis(self, machine_arn: str, end: sfn.State) -> sfn.State:
        """Nobody waits for it, and the verdict stands whether it starts or not."""
        # A retry after a lost answer finds the same execution by its name.
        new = {
            "name.$": "States.Format('analysis-{}', $.conclusion.incidentId)",
            "input": {"incidentId.$": "$.conclusion.incidentId"},
        }
        name = set_fields(self, "Name the analysis", new, result_path="$.analysis")
        start = task(
            self,
            "Start analysis",
            ApiCall(
                "sfn",
                "startExecution",
                {
                    "StateMachineArn": machine_arn,
                    "Name.$": "$.analysis.name",
                    "Input.$": "States.JsonToString($.analysis.input)",
                },
                {"executionArn.$": "$.ExecutionArn"},
            ),
            result_path="$.started",
        )
        start.add_catch(end, errors=["States.ALL"], result_path="$.unstarted")
        start.next(end)
        name.next(start)
        return name


def start_analysis_statements(machine_arn: str) -> list[iam.PolicyStatement]:
    """Start the analysis, if there is a machine to start."""
    return [iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine_arn])] if machine_arn else []
