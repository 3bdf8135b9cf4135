"""Standby in an Auto Scaling group: what the functions that interrupt are told and may do, and the way back."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, Needs, Shared
from infra.foundation.incidents import Incidents
from infra.settings import Settings
from lambdas.runtime.tags import ENROLLED_TAG

# Lambda's longest. A deregistration delay may hold an instance on its way into Standby; the function stops waiting
# before (WAIT_SECONDS), to tell of it.
LONGEST_SECONDS = 900
_ANY_GROUP = "autoScalingGroup:*:autoScalingGroupName/*"
_WHICH_GROUP = (
    "Which Auto Scaling groups take part is known by a tag, not by an ARN: limited to groups that are themselves "
    "tagged hangdump:enrolled=true."
)


class ReturnFromStandby(Construct):
    """The function that brings an instance back; called at the end of CollectVmcore, and after a refusal."""

    def __init__(self, scope: Construct, construct_id: str, *, incidents: Incidents, shared: Shared) -> None:
        super().__init__(scope, construct_id)
        self.function = Function(
            self,
            "return_from_standby",
            shared=shared,
            needs=Needs(
                environment={"TABLE_NAME": incidents.table.table_name, "TOPIC_ARN": incidents.topic.topic_arn},
                statements=[
                    grants.read("autoscaling:DescribeAutoScalingInstances"),
                    _of_enrolled_groups(self, "autoscaling:ExitStandby"),
                    grants.keep_records(incidents.table),
                    iam.PolicyStatement(actions=["sns:Publish"], resources=[incidents.topic.topic_arn]),
                ],
                timeout_seconds=LONGEST_SECONDS,
                acknowledged=standby_acknowledged(),
            ),
        )
        self.function.retry_when_asynchronous(shared, for_minutes=60)


def standby_environment(settings: Settings) -> dict[str, str]:
    """Whether Standby is needed, and how long an interrupt waits for it."""
    return {
        "AUTO_SCALING_STANDBY": settings.auto_scaling_standby,
        "STANDBY_TIMEOUT_SECONDS": str(settings.standby_timeout_seconds),
    }


def standby_statements(scope: Construct) -> list[iam.PolicyStatement]:
    """See which group an instance is in, and move it into Standby where the group itself opted in."""
    return [
        grants.read("autoscaling:DescribeAutoScalingInstances"),
        _of_enrolled_groups(scope, "autoscaling:EnterStandby"),
    ]


def standby_acknowledged() -> Mapping[str, str]:
    """For cdk-nag."""
    return {grants.wildcard(f"autoscaling:{_ANY_GROUP}"): _WHICH_GROUP}


def _of_enrolled_groups(scope: Construct, action: str) -> iam.PolicyStatement:
    """IAM knows the tags of the group here, not those of its instances."""
    resource, name = _ANY_GROUP.split(":", 1)
    colon = cdk.ArnFormat.COLON_RESOURCE_NAME
    return iam.PolicyStatement(
        actions=[action],
        resources=[
            cdk.Stack.of(scope).format_arn(
                service="autoscaling", resource=resource, resource_name=name, arn_format=colon
            )
        ],
        conditions={"StringEquals": {f"aws:ResourceTag/{ENROLLED_TAG}": "true"}},
    )
