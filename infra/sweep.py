"""The sweep: a scheduled function that finds leftovers, reports them, and removes those that it may."""

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.fleet import Fleet
from infra.foundation.functions import Function, FunctionConfig
from infra.foundation.grants import any_instance_acknowledged
from infra.foundation.vmcore_bucket import (
    VmcoreBucket,
    any_key_acknowledged,
    bucket_environment,
    objects,
    write_with_key,
)
from infra.parts import Parts
from infra.settings import Settings
from infra.short_lived.grants import remove as remove_made
from lambdas.fleet.row import ROW_PREFIX
from lambdas.incident.object_keys import SWEEPS, VMCORES
from lambdas.runtime import environment
from lambdas.runtime.tags import HANG_ALARM_PREFIX

# Lambda's limit. The sweep stops before it, and the next one continues there.
_LONGEST_SECONDS = 900
_CHECK, _UPLOAD = "check_kdump", "upload_vmcore"


@dataclass(frozen=True)
class IncidentMachines:
    """The state machines that work on incidents."""

    collect_vmcore: sfn.StateMachine
    rescue_vmcore: sfn.StateMachine
    analyze_vmcore: sfn.StateMachine
    drill_dump: sfn.StateMachine


class Sweep(Construct):
    """The function `sweep`, its schedule, and a sweep after each deployment."""

    def __init__(
        self,
        scope: Construct,
        *,
        parts: Parts,
        fleet: Fleet,
        machines: IncidentMachines,
        settings: Settings,
    ) -> None:
        super().__init__(scope, "Sweep")
        self._fleet = fleet
        self._machines = machines
        self.function = self._function(parts, settings)
        self.function.retry_when_asynchronous(parts.shared, for_minutes=60)
        events.Rule(
            self,
            "Schedule",
            description="Finds leftovers of Hangdump and unready instances",
            schedule=events.Schedule.rate(cdk.Duration.hours(settings.sweep_interval_hours)),
            targets=[targets.LambdaFunction(self.function)],
        )
        # The schedule begins a period after the rule was made. Until a first sweep its alarm would be red.
        events.Rule(
            self,
            "OnceDeployed",
            description="Sweeps after each deployment of the stack",
            event_pattern=events.EventPattern(
                source=["aws.cloudformation"],
                detail_type=["CloudFormation Stack Status Change"],
                detail={
                    "stack-id": [cdk.Stack.of(self).stack_id],
                    "status-details": {"status": ["CREATE_COMPLETE", "UPDATE_COMPLETE"]},
                },
            ),
            targets=[targets.LambdaFunction(self.function)],
        )

    def _function(self, parts: Parts, settings: Settings) -> Function:
        documents = parts.runner.documents
        return Function(
            self,
            "sweep",
            shared=parts.shared,
            config=FunctionConfig(
                environment=[
                    parts.incidents.records,
                    parts.incidents.notifications,
                    self._fleet.environment,
                    environment.Collection(collect_vmcore_arn=self._machines.collect_vmcore.state_machine_arn),
                    environment.Rescue(rescue_vmcore_arn=self._machines.rescue_vmcore.state_machine_arn),
                    environment.Analysis(analyze_vmcore_arn=self._machines.analyze_vmcore.state_machine_arn),
                    environment.Drills(drill_dump_arn=self._machines.drill_dump.state_machine_arn),
                    bucket_environment(parts.vmcores),
                    environment.FleetChecks(
                        check_document=documents.name(_CHECK),
                        upload_document=documents.name(_UPLOAD),
                        mount_point=settings.mount_point,
                    ),
                    environment.SweepPolicy.of(settings),
                ],
                statements=self._statements(parts),
                timeout_seconds=_LONGEST_SECONDS,
                acknowledged={
                    **any_instance_acknowledged(),
                    **any_key_acknowledged(parts.vmcores, VMCORES, SWEEPS),
                    grants.wildcard(f"cloudwatch:alarm:{HANG_ALARM_PREFIX}*"): grants.ALARM_PER_INSTANCE,
                    grants.wildcard("ec2:volume/*"): grants.ANY_INSTANCE,
                    grants.ANY_SNAPSHOT: grants.ANY_INSTANCE,
                },
            ),
        )

    def _statements(self, parts: Parts) -> list[iam.PolicyStatement]:
        stack = cdk.Stack.of(self)
        names = [parts.runner.documents.name(each) for each in (_CHECK, _UPLOAD)]
        return [
            *search(
                parts.incidents.table,
                parts.vmcores,
                [
                    self._machines.collect_vmcore,
                    self._machines.rescue_vmcore,
                    self._machines.analyze_vmcore,
                    self._machines.drill_dump,
                ],
            ),
            *grants.send_command(stack, names),
            *remove(stack, parts.vmcores),
            iam.PolicyStatement(
                actions=["states:StartExecution"], resources=[self._machines.collect_vmcore.state_machine_arn]
            ),
            *self._read_orphans(parts),
            grants.keep_parked(parts.incidents.table, "BatchGetItem", "DeleteItem"),
            grants.delete_parked_snapshots(stack),
            *self._drill(parts),
            iam.PolicyStatement(actions=["sns:Publish"], resources=[parts.incidents.topic.topic_arn]),
        ]

    def _read_orphans(self, parts: Parts) -> list[iam.PolicyStatement]:
        """Have orphaned dump volumes read, and count the attempts in their records. It cannot delete one."""
        return [
            iam.PolicyStatement(
                actions=["states:StartExecution"], resources=[self._machines.rescue_vmcore.state_machine_arn]
            ),
            grants.count_rescues(parts.incidents.table),
            self._fleet.grant("GetItem", keys=f"{ROW_PREFIX}*"),
        ]

    def _drill(self, parts: Parts) -> list[iam.PolicyStatement]:
        """Look for combinations of the fleet that no drill has proven, and begin one."""
        return [
            self._fleet.grant("Scan"),
            grants.keep_drills(parts.incidents.table, "BatchGetItem", "UpdateItem"),
            iam.PolicyStatement(
                actions=["states:StartExecution"], resources=[self._machines.drill_dump.state_machine_arn]
            ),
        ]


def search(
    table: dynamodb.Table, vmcores: VmcoreBucket, machines: Sequence[sfn.StateMachine]
) -> list[iam.PolicyStatement]:
    """Search, and write the report."""
    return [
        grants.read(
            "autoscaling:DescribeAutoScalingInstances",
            "cloudwatch:DescribeAlarms",
            "ec2:DescribeInstances",
            "ec2:DescribeSnapshots",
            "ec2:DescribeVolumes",
            "ssm:DescribeInstanceInformation",
            "ssm:ListCommandInvocations",
        ),
        iam.PolicyStatement(
            # PutItem: the place where the next sweep continues.
            actions=["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"],
            resources=[table.table_arn],
        ),
        iam.PolicyStatement(
            actions=["states:ListExecutions"], resources=[machine.state_machine_arn for machine in machines]
        ),
        iam.PolicyStatement(actions=["s3:ListBucketMultipartUploads"], resources=[vmcores.bucket.bucket_arn]),
        objects(vmcores, SWEEPS, "s3:PutObject"),
        write_with_key(vmcores),
    ]


def remove(stack: cdk.Stack, vmcores: VmcoreBucket) -> list[iam.PolicyStatement]:
    """Remove leftovers of rescues and analyses, the ready tag, alarms and uploads."""
    return [
        *remove_made(stack),
        grants.unmark_ready(stack),
        grants.mark_ready(stack),
        iam.PolicyStatement(
            actions=["cloudwatch:DeleteAlarms"], resources=[grants.alarms(stack, f"{HANG_ALARM_PREFIX}*")]
        ),
        objects(vmcores, VMCORES, "s3:AbortMultipartUpload"),
    ]
