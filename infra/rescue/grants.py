"""The rights of a rescue: copy the stack's dump volumes, launch rescue instances, run documents on them, remove all."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.foundation import grants
from infra.rescue.short_lived_instance import CollectorProfile
from lambdas.runtime.tags import PROTECTING_TAGS, RESCUE_EXECUTION_TAG, STACK_TAG

MADE_BY_A_RESCUE = (
    "The ids of what a rescue creates are not known before: a condition limits the grant to resources that have its "
    "tag and this stack's, or get them when they are created."
)


def copy_volumes(stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """Take a snapshot of a volume of this stack, with a rescue's tags."""
    return [
        iam.PolicyStatement(
            actions=["ec2:CreateSnapshot"],
            resources=[grants.volumes(stack)],
            conditions={"StringEquals": {f"aws:ResourceTag/{STACK_TAG}": stack.stack_name}},
        ),
        iam.PolicyStatement(
            actions=["ec2:CreateSnapshot"], resources=[snapshots(stack)], conditions=_marked_when_made(stack)
        ),
        iam.PolicyStatement(
            actions=["ec2:CreateTags"],
            resources=[snapshots(stack)],
            conditions={"StringEquals": {"ec2:CreateAction": "CreateSnapshot"}},
        ),
        grants.read("ec2:DescribeSnapshots"),
    ]


def launch_collectors(
    stack: cdk.Stack, profile: CollectorProfile, image: str, instance_type: str
) -> list[iam.PolicyStatement]:
    """Launch instances with a rescue's tags, from its own snapshots, of this type, with only this profile and only
    IMDSv2."""
    arn = stack.format_arn
    images = arn(service="ec2", account="", resource="image", resource_name="*")
    is_public = image.startswith("resolve:ssm:/aws/service/")
    statements = [
        iam.PolicyStatement(
            actions=["ec2:RunInstances"],
            resources=[images],
            conditions={"StringEquals": {"ec2:Owner": "amazon"}} if is_public else None,
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
            actions=["ec2:RunInstances"], resources=[snapshots(stack)], conditions=made_by_a_rescue(stack)
        ),
        iam.PolicyStatement(
            actions=["ec2:RunInstances"], resources=[grants.volumes(stack)], conditions=_marked_when_made(stack)
        ),
        iam.PolicyStatement(
            actions=["ec2:RunInstances"],
            resources=[grants.instances(stack)],
            conditions=_of_instances(stack, profile, instance_type),
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
        grants.read("ec2:DescribeInstances", "ec2:DescribeVolumes", "ssm:DescribeInstanceInformation"),
    ]
    if image.startswith("resolve:ssm:"):
        name = image.removeprefix("resolve:ssm:").split(":")[0].removeprefix("/")
        # Public parameters have no account in their ARN.
        account = "" if name.startswith("aws/service/") else None
        parameter = arn(service="ssm", account=account, resource="parameter", resource_name=name)
        statements.append(iam.PolicyStatement(actions=["ssm:GetParameters"], resources=[parameter]))
    return statements


def use_keys_of_copies(stack: cdk.Stack) -> iam.PolicyStatement:
    """Use keys through EC2: it creates a volume from an encrypted snapshot with the caller's rights."""
    return grants.use_keys_of_volumes(
        stack, *grants.CREATE_VOLUME_WITH_KEY, "kms:CreateGrant", "kms:ReEncryptFrom", "kms:ReEncryptTo"
    )


def command_collectors(stack: cdk.Stack, document_names: list[str]) -> list[iam.PolicyStatement]:
    """Run these documents only on rescue instances."""
    documents = [stack.format_arn(service="ssm", resource="document", resource_name=name) for name in document_names]
    return [
        iam.PolicyStatement(actions=["ssm:SendCommand"], resources=documents),
        iam.PolicyStatement(
            actions=["ssm:SendCommand"],
            resources=[grants.instances(stack)],
            conditions={
                "StringEquals": {f"ssm:resourceTag/{STACK_TAG}": stack.stack_name},
                "Null": {f"ssm:resourceTag/{RESCUE_EXECUTION_TAG}": "false"},
            },
        ),
        grants.read("ssm:GetCommandInvocation"),
    ]


def _of_instances(stack: cdk.Stack, profile: CollectorProfile, instance_type: str) -> dict[str, dict[str, str]]:
    marked = _marked_when_made(stack)
    return {
        **marked,
        "StringEquals": {**marked["StringEquals"], "ec2:InstanceType": instance_type},
        "ArnEquals": {"ec2:InstanceProfile": profile.arn},
        "StringEqualsIfExists": {"ec2:MetadataHttpTokens": "required"},
    }


def _marked_when_made(stack: cdk.Stack) -> dict[str, dict[str, str]]:
    return {
        "StringEquals": {f"aws:RequestTag/{STACK_TAG}": stack.stack_name},
        "Null": {f"aws:RequestTag/{RESCUE_EXECUTION_TAG}": "false"},
    }


def acknowledged() -> dict[str, str]:
    """For cdk-nag."""
    here = "<AWS::Region>"
    network = "A rescue instance uses the network of the instance it rescues, which another account may own."
    return {
        grants.wildcard("ec2:network-interface/*"): network,
        grants.wildcard("ec2:subnet/*", account="*"): network,
        grants.wildcard("ec2:security-group/*", account="*"): network,
        f"AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ec2:{here}::image/*]": "The image is named by a public "
        "parameter of AWS or by a setting; which one that is changes with each release.",
        ANY_SNAPSHOT: MADE_BY_A_RESCUE,
        grants.wildcard("ec2:instance/*"): MADE_BY_A_RESCUE,
        grants.wildcard("ec2:volume/*"): MADE_BY_A_RESCUE,
        **grants.any_key_acknowledged(),
    }


# cdk-nag's name for the grant.
ANY_SNAPSHOT = "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ec2:<AWS::Region>::snapshot/*]"


def snapshots(stack: cdk.Stack) -> str:
    """The ARN of all snapshots; it has no account."""
    return stack.format_arn(service="ec2", account="", resource="snapshot", resource_name="*")


def made_by_a_rescue(stack: cdk.Stack) -> dict[str, dict[str, str]]:
    """Only resources with a rescue's tag. These rights cannot remove a dump volume or an enrolled instance, even if
    somebody gave it that tag."""
    without = {f"aws:ResourceTag/{tag}": "true" for tag in sorted(PROTECTING_TAGS)}
    return {
        "StringEquals": {f"aws:ResourceTag/{STACK_TAG}": stack.stack_name},
        "Null": {f"aws:ResourceTag/{RESCUE_EXECUTION_TAG}": "false", **without},
    }


def remove_what_rescues_made(stack: cdk.Stack) -> list[iam.PolicyStatement]:
    """Remove rescue instances, snapshots and copies."""
    conditions = made_by_a_rescue(stack)
    return [
        iam.PolicyStatement(
            actions=["ec2:TerminateInstances"], resources=[grants.instances(stack)], conditions=conditions
        ),
        iam.PolicyStatement(actions=["ec2:DeleteSnapshot"], resources=[snapshots(stack)], conditions=conditions),
        iam.PolicyStatement(actions=["ec2:DeleteVolume"], resources=[grants.volumes(stack)], conditions=conditions),
    ]
