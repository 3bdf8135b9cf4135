"""The functions that CloudWatch and EventBridge call: respond_to_hang, watch_fleet and retire_instance."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, FunctionConfig
from infra.parts import Parts
from infra.respond import gate
from infra.settings import RESPONSE_OVERHEAD_SECONDS, Settings
from lambdas.runtime import environment
from lambdas.runtime.tags import HANG_ALARM_PREFIX

# After this an alarm's event is too old; each retry gathers the evidence anew.
RESPONSE_MINUTES = 15


class HangResponse(Construct):
    """respond_to_hang with its callers' permission, watch_fleet and retire_instance with their rules."""

    def __init__(self, scope: Construct, *, parts: Parts, collect_vmcore: sfn.StateMachine, settings: Settings) -> None:
        super().__init__(scope, "HangResponse")
        self.respond_to_hang = self._respond_to_hang(parts, collect_vmcore, settings)
        self._watch_fleet(parts)
        self.retire_instance = self._retire_instance(parts)

    def _respond_to_hang(self, parts: Parts, collect_vmcore: sfn.StateMachine, settings: Settings) -> Function:
        stack = cdk.Stack.of(self)
        collection = collect_vmcore.state_machine_arn
        own = FunctionConfig(
            environment=[
                environment.ReturnFunction(return_from_standby=parts.return_from_standby.function_name),
                environment.Collection(collect_vmcore_arn=collection),
            ],
            statements=[
                # A refusal is a record, too; and what has been notified is noted.
                grants.keep_records(parts.incidents.table),
                grants.invoke(parts.return_from_standby),
                iam.PolicyStatement(actions=["states:StartExecution"], resources=[collection]),
            ],
            # The probe of a hung instance takes its whole timeout, and is sent again if Standby took long.
            timeout_seconds=2 * settings.probe_timeout_seconds
            + settings.standby_timeout_seconds
            + RESPONSE_OVERHEAD_SECONDS,
        )
        shared = gate.interrupt(self, parts, settings) | gate.announce(parts)
        config = shared | gate.probe(self, parts.runner, settings) | own
        function = Function(self, "respond_to_hang", shared=parts.shared, config=config)
        # All alarms of the account: an owner's alarm may detect a hang better than a status check. The evidence
        # decides in any case.
        function.add_permission(
            "AlarmsOfThisAccount",
            principal=iam.ServicePrincipal("lambda.alarms.cloudwatch.amazonaws.com"),
            source_account=stack.account,
            source_arn=grants.alarms(stack, "*"),
        )
        function.retry_when_asynchronous(parts.shared, for_minutes=RESPONSE_MINUTES)
        return function

    def _watch_fleet(self, parts: Parts) -> None:
        function = Function(
            self,
            "watch_fleet",
            shared=parts.shared,
            config=FunctionConfig(
                environment=[
                    parts.incidents.records,
                    environment.ResponseFunction(respond_to_hang=self.respond_to_hang.function_name),
                ],
                statements=[
                    grants.read(
                        "ec2:DescribeInstances", "ec2:DescribeInstanceStatus", "ssm:DescribeInstanceInformation"
                    ),
                    grants.note_suspects(parts.incidents.table),
                    grants.invoke(self.respond_to_hang),
                ],
                timeout_seconds=60,
            ),
        )
        # The next minute asks anew.
        function.retry_when_asynchronous(parts.shared, for_minutes=1)
        events.Rule(
            self,
            "EachMinute",
            description="Looks for enrolled instances that may hang",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[targets.LambdaFunction(function)],
        )

    def _retire_instance(self, parts: Parts) -> Function:
        stack = cdk.Stack.of(self)
        our_alarms = grants.alarms(stack, f"{HANG_ALARM_PREFIX}*")
        function = Function(
            self,
            "retire_instance",
            shared=parts.shared,
            config=FunctionConfig(
                environment=[parts.incidents.records],
                statements=[
                    grants.read("cloudwatch:DescribeAlarms", "ec2:DescribeInstances", "ec2:DescribeVolumes"),
                    iam.PolicyStatement(actions=["cloudwatch:DeleteAlarms"], resources=[our_alarms]),
                    grants.unmark_ready(stack),
                    *grants.forget_parked(stack, parts.incidents.table),
                ],
                acknowledged={
                    **grants.any_instance_acknowledged(),
                    grants.ANY_SNAPSHOT: grants.ANY_INSTANCE,
                    grants.wildcard(f"cloudwatch:alarm:{HANG_ALARM_PREFIX}*"): grants.ALARM_PER_INSTANCE,
                },
            ),
        )
        function.retry_when_asynchronous(parts.shared, for_minutes=6 * 60)
        events.Rule(
            self,
            "InstanceTerminated",
            description="Retires terminated instances: their alarm would wait for data for ever",
            event_pattern=events.EventPattern(
                source=["aws.ec2"],
                detail_type=["EC2 Instance State-change Notification"],
                detail={"state": ["terminated"]},
            ),
            targets=[targets.LambdaFunction(function)],
        )
        return function
