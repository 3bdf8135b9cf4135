"""Standby in an Auto Scaling group: the rights to enter it, and the function that brings an instance back."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.functions import Function, FunctionConfig, FunctionDefaults
from infra.foundation.incidents import Incidents
from infra.settings import Settings
from lambdas.runtime import environment
from lambdas.runtime.tags import ENROLLED_TAG

# Lambda's limit. A deregistration delay can hold an instance in EnteringStandby; the function stops waiting earlier
# (WAIT_SECONDS), so that it can notify.
LONGEST_SECONDS = 900
_ANY_GROUP = "autoScalingGroup:*:autoScalingGroupName/*"
# For cdk-nag.
_ACKNOWLEDGED = {
    grants.wildcard(
        f"autoscaling:{_ANY_GROUP}"
    ): "Auto Scaling groups take part by a tag, not by an ARN: limited to groups tagged hangdump:enrolled=true."
}


class ReturnFromStandby(Construct):
    """The function that brings an instance back; it runs at the end of CollectVmcore and after a refusal."""

    def __init__(self, scope: Construct, construct_id: str, *, incidents: Incidents, shared: FunctionDefaults) -> None:
        super().__init__(scope, construct_id)
        self.function = Function(
            self,
            "return_from_standby",
            shared=shared,
            config=FunctionConfig(
                environment=[incidents.records, incidents.notifications],
                statements=[
                    grants.read("autoscaling:DescribeAutoScalingInstances"),
                    _of_enrolled_groups(self, "autoscaling:ExitStandby"),
                    grants.amend_incidents(incidents.table),
                    iam.PolicyStatement(actions=["sns:Publish"], resources=[incidents.topic.topic_arn]),
                ],
                timeout_seconds=LONGEST_SECONDS,
                acknowledged=_ACKNOWLEDGED,
            ),
        )
        self.function.retry_when_asynchronous(shared, for_minutes=60)


def enter_standby(scope: Construct, settings: Settings) -> FunctionConfig:
    """Move an instance into Standby, if its group itself is enrolled."""
    return FunctionConfig(
        environment=[environment.Standby.of(settings)],
        statements=[
            grants.read("autoscaling:DescribeAutoScalingInstances"),
            _of_enrolled_groups(scope, "autoscaling:EnterStandby"),
        ],
        acknowledged=_ACKNOWLEDGED,
    )


def _of_enrolled_groups(scope: Construct, action: str) -> iam.PolicyStatement:
    """Limited by the group's tag: IAM does not see its instances' tags here."""
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
