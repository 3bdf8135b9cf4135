"""The rights of a rescue beside those around its short-lived instance: copy the stack's dump volumes, launch from the
copies."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.foundation import grants
from infra.short_lived.grants import made_by_us, marked_when_made
from lambdas.runtime.tags import STACK_TAG


def copy_volumes(stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """Take a snapshot of a volume of this stack, with a rescue's tags."""
    return [
        iam.PolicyStatement(
            actions=["ec2:CreateSnapshot"],
            resources=[grants.volumes(stack)],
            conditions={"StringEquals": {f"aws:ResourceTag/{STACK_TAG}": stack.stack_name}},
        ),
        iam.PolicyStatement(
            actions=["ec2:CreateSnapshot"], resources=[grants.snapshots(stack)], conditions=marked_when_made(stack)
        ),
        iam.PolicyStatement(
            actions=["ec2:CreateTags"],
            resources=[grants.snapshots(stack)],
            conditions={"StringEquals": {"ec2:CreateAction": "CreateSnapshot"}},
        ),
        grants.read("ec2:DescribeSnapshots"),
    ]


def launch_from_copies(stack: cdk.Stack, image: str) -> list[iam.PolicyStatement]:
    """Launch with the volumes of its own snapshots, from the image that a parameter names, and see the volumes."""
    statements = [
        iam.PolicyStatement(
            actions=["ec2:RunInstances"], resources=[grants.snapshots(stack)], conditions=made_by_us(stack)
        ),
        grants.read("ec2:DescribeVolumes"),
    ]
    if image.startswith("resolve:ssm:"):
        name = image.removeprefix("resolve:ssm:").split(":")[0].removeprefix("/")
        # Public parameters have no account in their ARN.
        account = "" if is_public(image) else None
        parameter = stack.format_arn(service="ssm", account=account, resource="parameter", resource_name=name)
        statements.append(iam.PolicyStatement(actions=["ssm:GetParameters"], resources=[parameter]))
    return statements


def is_public(image: str) -> bool:
    """Whether AWS names the image."""
    return image.startswith("resolve:ssm:/aws/service/")
