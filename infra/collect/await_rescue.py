"""The part of CollectVmcore that starts RescueVmcore for an instance that does not come back, and waits for its end.

The rescue concludes the incident. "Conclude incident" then repeats that verdict, or decides one if the rescue has none.
"""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.rescue import machine as rescue_vmcore
from infra.settings import Settings
from infra.states.poll import polling
from infra.states.run_execution import start_execution, watch_execution
from infra.states.tasks import ClosedFragment, name_error, set_fields
from lambdas.runtime.errors import RescueUnfinished

# Each poll adds 9 history events; all loops of CollectVmcore share the limit of 25,000.
MAX_POLLS = 65
_FAILURE = "$.facts.error"


class AwaitRescue(ClosedFragment):
    """Always leads to `conclude`; `$.facts.watch.detail` says why the instance cannot upload its vmcore itself."""

    def __init__(self, scope: Construct, title: str, *, settings: Settings, conclude: sfn.State) -> None:
        super().__init__(scope, f"{title} states")
        new = {
            "name.$": "States.Format('rescue-{}', States.UUID())",
            "input": {"incidentId.$": "$.facts.incident.incidentId", "reason.$": "$.facts.watch.detail"},
        }
        name = set_fields(self, "Name the rescue", new, result_path="$.rescue")
        start = start_execution(
            self,
            title,
            machine_arn=rescue_vmcore.machine_arn(cdk.Stack.of(self)),
            name="$.rescue.name",
            given="$.rescue.input",
            result_path="$.rescueExecution",
        )
        start.add_catch(conclude, errors=["States.ALL"], result_path=_FAILURE)
        # "Conclude incident" ignores this error if the rescue has concluded the incident.
        ended = self._say("Say that the rescue ended", "ended as {}")
        late = self._say("Say that the rescue goes on", "is still {}: it will conclude the incident")
        watch = watch_execution(
            self,
            "Watch the rescue",
            look="Look at the rescue",
            execution_arn="$.rescueExecution.executionArn",
            result_path="$.facts.rescueEnd",
            kept={"name.$": "$.Name", "status.$": "$.Status"},
            polling=polling(rescue_vmcore.longest_seconds(settings), settings.poll_seconds, max_polls=MAX_POLLS),
            then=ended,
            late=late,
        )
        unknown = set_fields(
            self,
            "Note the rescue",
            {"name.$": "$.rescue.name", "status": "RUNNING"},
            result_path="$.facts.rescueEnd",
        )
        unstarted = set_fields(
            self,
            "Note why it cannot be started",
            {
                "detail.$": "States.Format('{} But it could not be started: {}', $.facts.watch.detail, "
                f"States.JsonToString({_FAILURE}))"
            },
            result_path="$.facts.watch",
        )
        self._start = sfn.Choice(self, "Could it not be started?")
        self._start.when(sfn.Condition.is_present(f"{_FAILURE}.Error"), unstarted.next(name)).otherwise(name)
        name.next(start).next(unknown).next(watch)
        for end in (ended, late):
            end.next(conclude)

    def _say(self, name: str, what: str) -> sfn.Pass:
        cause = f"'RescueVmcore {{}} {what}.', $.facts.rescueEnd.name, $.facts.rescueEnd.status"
        return name_error(self, name, RescueUnfinished, cause, result_path=_FAILURE)


def statements(stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """Start rescues, also for a detached volume, and read how they end."""
    executions = stack.format_arn(
        service="states",
        resource="execution",
        resource_name=f"{rescue_vmcore.NAME}:rescue-*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    return [
        grants.read("ec2:DescribeVolumes"),
        iam.PolicyStatement(actions=["states:StartExecution"], resources=[rescue_vmcore.machine_arn(stack)]),
        iam.PolicyStatement(actions=["states:DescribeExecution"], resources=[executions]),
    ]


OWN_EXECUTIONS = f"states:execution:{rescue_vmcore.NAME}:rescue-*"
EXECUTIONS_REASON = "A rescue gets its name when it is started."
