"""From a hang to an incident, and from a terminated instance to no alarm: what CloudWatch and EventBridge call."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, Needs, Shared
from infra.foundation.grants import any_instance_acknowledged
from infra.foundation.incidents import Incidents
from infra.foundation.vmcore_bucket import VmcoreBucket
from infra.respond.gate import (
    beforehand_acknowledged,
    beforehand_environment,
    beforehand_statements,
    gate_environment,
    gate_statements,
    probe_environment,
    probe_statements,
)
from infra.respond.standby import ReturnFromStandby, standby_acknowledged, standby_environment, standby_statements
from infra.settings import RESPONSE_OVERHEAD_SECONDS, Settings
from infra.states.run_document import DocumentRunner
from lambdas.runtime.tags import HANG_ALARM_PREFIX

# An alarm's news is old after this; the evidence is gathered anew in any case.
RESPONSE_MINUTES = 15


@dataclass(frozen=True)
class Parts:
    """What the response is put together from."""

    incidents: Incidents
    vmcores: VmcoreBucket
    runner: DocumentRunner
    collect_vmcore: sfn.StateMachine
    standby: ReturnFromStandby
    shared: Shared


class HangResponse(Construct):
    """respond_to_hang with its callers' permission, and retire_instance with its rule."""

    def __init__(self, scope: Construct, construct_id: str, *, parts: Parts, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self.respond_to_hang = self._respond_to_hang(parts, settings)
        self.retire_instance = self._retire_instance(parts)

    def _respond_to_hang(self, parts: Parts, settings: Settings) -> Function:
        stack = cdk.Stack.of(self)
        incidents, topic = parts.incidents, parts.incidents.topic
        function = Function(
            self,
            "respond_to_hang",
            shared=parts.shared,
            needs=Needs(
                environment={
                    **gate_environment(incidents, settings),
                    **beforehand_environment(parts.vmcores, settings),
                    **probe_environment(parts.runner, settings),
                    **standby_environment(settings),
                    "RETURN_FROM_STANDBY": parts.standby.function.function_name,
                    "TOPIC_ARN": topic.topic_arn,
                    "COLLECT_VMCORE_ARN": parts.collect_vmcore.state_machine_arn,
                },
                statements=[
                    *gate_statements(self, incidents),
                    *beforehand_statements(self, parts.vmcores),
                    *probe_statements(self, parts.runner),
                    *standby_statements(self),
                    grants.invoke(parts.standby.function),
                    iam.PolicyStatement(
                        actions=["states:StartExecution"], resources=[parts.collect_vmcore.state_machine_arn]
                    ),
                    iam.PolicyStatement(actions=["sns:Publish"], resources=[topic.topic_arn]),
                ],
                # The probe of an instance that hangs takes its whole time, and is sent again after a long Standby.
                timeout_seconds=2 * settings.probe_timeout_seconds
                + settings.standby_timeout_seconds
                + RESPONSE_OVERHEAD_SECONDS,
                acknowledged={
                    **any_instance_acknowledged(),
                    **beforehand_acknowledged(parts.vmcores),
                    **standby_acknowledged(),
                },
            ),
        )
        # Not only our own alarms: the owner of an instance may know better than a status check when it hangs. Whoever
        # calls, the evidence decides.
        function.add_permission(
            "AlarmsOfThisAccount",
            principal=iam.ServicePrincipal("lambda.alarms.cloudwatch.amazonaws.com"),
            source_account=stack.account,
            source_arn=grants.alarms(stack, "*"),
        )
        function.retry_when_asynchronous(parts.shared, for_minutes=RESPONSE_MINUTES)
        return function

    def _retire_instance(self, parts: Parts) -> Function:
        stack = cdk.Stack.of(self)
        our_alarms = grants.alarms(stack, f"{HANG_ALARM_PREFIX}*")
        function = Function(
            self,
            "retire_instance",
            shared=parts.shared,
            needs=Needs(
                statements=[
                    grants.read("cloudwatch:DescribeAlarms", "ec2:DescribeVolumes"),
                    iam.PolicyStatement(actions=["cloudwatch:DeleteAlarms"], resources=[our_alarms]),
                    grants.unmark_ready(stack),
                ],
                acknowledged={
                    **any_instance_acknowledged(),
                    grants.wildcard(f"cloudwatch:alarm:{HANG_ALARM_PREFIX}*"): grants.ALARM_PER_INSTANCE,
                },
            ),
        )
        function.retry_when_asynchronous(parts.shared, for_minutes=6 * 60)
        events.Rule(
            self,
            "InstanceTerminated",
            description="Retires instances that are gone: their alarm would wait for data for ever",
            event_pattern=events.EventPattern(
                source=["aws.ec2"],
                detail_type=["EC2 Instance State-change Notification"],
                detail={"state": ["terminated"]},
            ),
            targets=[targets.LambdaFunction(function)],
        )
        return function
