"""What the sweep may do: look at everything, remove the few kinds of things that it may remove."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn

from infra.foundation import grants
from infra.foundation.vmcore_bucket import SWEEPS, VMCORES, VmcoreBucket, objects
from infra.provision.mark_ready import ALARM_PREFIX
from lambdas.rescue_marks import RESCUE_TAG

# As cdk-nag names the grant.
ANY_SNAPSHOT = "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ec2:<AWS::Region>::snapshot/*]"


def snapshots(stack: cdk.Stack) -> str:
    """The ARN of all snapshots; it has no account."""
    return stack.format_arn(service="ec2", account="", resource="snapshot", resource_name="*")


def made_by_a_rescue(stack: cdk.Stack) -> dict[str, dict[str, str]]:
    """What rescues made carries their tag, which no dump volume has: those cannot be deleted with these rights."""
    return {
        "StringEquals": {f"aws:ResourceTag/{grants.STACK_TAG}": stack.stack_name},
        "Null": {f"aws:ResourceTag/{RESCUE_TAG}": "false"},
    }


def remove_what_rescues_made(stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """Collectors, snapshots, copies."""
    conditions = made_by_a_rescue(stack)
    return [
        iam.PolicyStatement(
            actions=["ec2:TerminateInstances"], resources=[grants.instances(stack)], conditions=conditions
        ),
        iam.PolicyStatement(actions=["ec2:DeleteSnapshot"], resources=[snapshots(stack)], conditions=conditions),
        iam.PolicyStatement(actions=["ec2:DeleteVolume"], resources=[grants.volumes(stack)], conditions=conditions),
    ]


def look(
    table: dynamodb.Table, vmcores: VmcoreBucket, machines: Sequence[sfn.StateMachine]
) -> list[iam.PolicyStatement]:
    """Searches, and the report."""
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
            # PutItem: where it had to stop.
            actions=["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"],
            resources=[table.table_arn],
        ),
        iam.PolicyStatement(
            actions=["states:ListExecutions"], resources=[machine.state_machine_arn for machine in machines]
        ),
        iam.PolicyStatement(actions=["s3:ListBucketMultipartUploads"], resources=[vmcores.bucket.bucket_arn]),
        objects(vmcores, SWEEPS, "s3:PutObject"),
        # Not Decrypt, which only uploads in parts need: a sweep writes its report and reads no vmcore.
        iam.PolicyStatement(actions=["kms:GenerateDataKey"], resources=[vmcores.key.key_arn]),
    ]


def remove(stack: cdk.Stack, vmcores: VmcoreBucket) -> list[iam.PolicyStatement]:
    """What rescues left, the ready tag, alarms and uploads."""
    return [
        *remove_what_rescues_made(stack),
        grants.unmark_ready(stack),
        grants.mark_ready(stack),
        iam.PolicyStatement(actions=["cloudwatch:DeleteAlarms"], resources=[grants.alarms(stack, f"{ALARM_PREFIX}*")]),
        objects(vmcores, VMCORES, "s3:AbortMultipartUpload"),
    ]
