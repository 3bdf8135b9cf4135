"""The rights around short-lived instances: launch them, run documents on them, remove all that an execution made."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.foundation import grants
from infra.short_lived.instance import InstanceProfile
from lambdas.runtime.tags import DRILL_TAG, ENROLLED_TAG, MAKER_TAG, PROTECTING_TAGS, STACK_TAG

MADE_BY_US = (
    "The ids of what an execution makes are not known before: a condition limits the grant to resources that have its "
    "tag and this stack's, or get them when they are created."
)


def launch(
    stack: cdk.Stack,
    profile: InstanceProfile,
    instance_types: Sequence[str] | None,
    *,
    is_image_public: bool = False,
    is_encrypted: bool = False,
) -> list[iam.PolicyStatement]:
    """Launch instances with our tags, of these types (None: any), with only this profile and only IMDSv2.

    `is_image_public`: only from images of AWS. `is_encrypted`: only with encrypted volumes.
    """
    arn = stack.format_arn
    of_instances = marked_when_made(stack)
    if instance_types is not None:
        of_instances["StringEquals"]["ec2:InstanceType"] = (
            list(instance_types) if len(instance_types) > 1 else instance_types[0]
        )
    of_volumes = marked_when_made(stack)
    return [
        iam.PolicyStatement(
            actions=["ec2:RunInstances"],
            resources=[arn(service="ec2", account="", resource="image", resource_name="*")],
            conditions={"StringEquals": {"ec2:Owner": "amazon"}} if is_image_public else None,
        ),
        iam.PolicyStatement(
            actions=["ec2:RunInstances"],
            resources=[
                arn(service="ec2", resource="network-interface", resource_name="*"),
                # Of a shared VPC their ARNs carry its owner's account.
                arn(service="ec2", account="*", resource="subnet", resource_name="*"),
                arn(service="ec2", account="*", resource="security-group", resource_name="*"),
            ],
        ),
        iam.PolicyStatement(
            actions=["ec2:RunInstances"],
            resources=[grants.volumes(stack)],
            conditions={**of_volumes, "Bool": {"ec2:Encrypted": "true"}} if is_encrypted else of_volumes,
        ),
        iam.PolicyStatement(
            actions=["ec2:RunInstances"],
            resources=[grants.instances(stack)],
            conditions={
                **of_instances,
                "ArnEquals": {"ec2:InstanceProfile": profile.arn},
                "StringEqualsIfExists": {"ec2:MetadataHttpTokens": "required"},
            },
        ),
        iam.PolicyStatement(
            actions=["ec2:CreateTags"],
            resources=[grants.instances(stack), grants.volumes(stack)],
            conditions={"StringEquals": {"ec2:CreateAction": "RunInstances"}},
        ),
        iam.PolicyStatement(
            actions=["iam:PassRole"],
            resources=[profile.role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": f"ec2.{cdk.Aws.URL_SUFFIX}"}},
        ),
        use_keys_at_launch(stack),
        grants.read("ec2:DescribeInstances", "ssm:DescribeInstanceInformation"),
    ]


def use_keys_at_launch(stack: cdk.Stack) -> iam.PolicyStatement:
    """Use keys through EC2: it creates a volume from a snapshot, or encrypts one, with the caller's rights."""
    return grants.use_keys_of_volumes(
        stack, *grants.CREATE_VOLUME_WITH_KEY, "kms:CreateGrant", "kms:ReEncryptFrom", "kms:ReEncryptTo"
    )


def command(stack: cdk.Stack) -> iam.PolicyStatement:
    """Run documents on short-lived instances; which ones, another statement says."""
    return iam.PolicyStatement(
        actions=["ssm:SendCommand"],
        resources=[grants.instances(stack)],
        conditions={
            "StringEquals": {f"ssm:resourceTag/{STACK_TAG}": stack.stack_name},
            "Null": {f"ssm:resourceTag/{MAKER_TAG}": "false"},
        },
    )


def hang(stack: cdk.Stack) -> iam.PolicyStatement:
    """Run documents on twins of drills alone; which one, another statement says."""
    return iam.PolicyStatement(
        actions=["ssm:SendCommand"],
        resources=[grants.instances(stack)],
        conditions={
            "StringEquals": {f"ssm:resourceTag/{STACK_TAG}": stack.stack_name},
            "Null": {f"ssm:resourceTag/{each}": "false" for each in (MAKER_TAG, DRILL_TAG)},
        },
    )


def marked_when_made(stack: cdk.Stack) -> dict[str, dict[str, str | list[str]]]:
    """Only what gets our tags as it is made."""
    return {
        "StringEquals": {f"aws:RequestTag/{STACK_TAG}": stack.stack_name},
        "Null": {f"aws:RequestTag/{MAKER_TAG}": "false"},
    }


def made_by_us(stack: cdk.Stack) -> dict[str, dict[str, str]]:
    """Only resources with the tag of an execution. These rights cannot remove a dump volume or an enrolled instance,
    even if somebody gave it that tag."""
    without = {f"aws:ResourceTag/{tag}": "true" for tag in sorted(PROTECTING_TAGS)}
    return {
        "StringEquals": {f"aws:ResourceTag/{STACK_TAG}": stack.stack_name},
        "Null": {f"aws:ResourceTag/{MAKER_TAG}": "false", **without},
    }


def drill_twins(stack: cdk.Stack) -> dict[str, dict[str, str]]:
    """Only twins of drills, which are enrolled."""
    conditions = made_by_us(stack)
    del conditions["Null"][f"aws:ResourceTag/{ENROLLED_TAG}"]
    conditions["Null"][f"aws:ResourceTag/{DRILL_TAG}"] = "false"
    return conditions


def remove(stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """Remove the instances, snapshots and volumes that executions made."""
    conditions = made_by_us(stack)
    return [
        iam.PolicyStatement(
            actions=["ec2:TerminateInstances"], resources=[grants.instances(stack)], conditions=drill_twins(stack)
        ),
        iam.PolicyStatement(
            actions=["ec2:TerminateInstances"], resources=[grants.instances(stack)], conditions=conditions
        ),
        iam.PolicyStatement(actions=["ec2:DeleteSnapshot"], resources=[grants.snapshots(stack)], conditions=conditions),
        iam.PolicyStatement(actions=["ec2:DeleteVolume"], resources=[grants.volumes(stack)], conditions=conditions),
    ]


def acknowledged(*, image: str) -> dict[str, str]:
    """For cdk-nag; `image` says why the grant takes any image."""
    network = "A short-lived instance uses the network of its incident's instance, which another account may own."
    return {
        grants.wildcard("ec2:network-interface/*"): network,
        grants.wildcard("ec2:subnet/*", account="*"): network,
        grants.wildcard("ec2:security-group/*", account="*"): network,
        "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ec2:<AWS::Region>::image/*]": image,
        grants.wildcard("ec2:instance/*"): MADE_BY_US,
        grants.wildcard("ec2:volume/*"): MADE_BY_US,
        **grants.any_key_acknowledged(),
    }
