"""What both functions that may interrupt are told and may do to keep evidence first; the rules are the gate's."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.vmcore_bucket import VMCORES, VmcoreBucket, any_key_acknowledged, bucket_environment, objects
from infra.settings import Settings

_BEFORE = f"{VMCORES}*/before/"


def beforehand_environment(vmcores: VmcoreBucket, settings: Settings) -> dict[str, str]:
    """Where evidence goes, and how long an interrupt waits for it."""
    return {**bucket_environment(vmcores), "EVIDENCE_TIMEOUT_SECONDS": str(settings.evidence_timeout_seconds)}


def beforehand_statements(scope: Construct, vmcores: VmcoreBucket) -> list[iam.PolicyStatement]:
    """See an enrolled instance's screen and metrics, and write below before/; read nothing of the bucket."""
    return [
        grants.see_screen(cdk.Stack.of(scope)),
        grants.read("cloudwatch:GetMetricData"),
        objects(vmcores, _BEFORE, "s3:PutObject"),
        iam.PolicyStatement(actions=["kms:GenerateDataKey"], resources=[vmcores.key.key_arn]),
    ]


def beforehand_acknowledged(vmcores: VmcoreBucket) -> dict[str, str]:
    """For cdk-nag."""
    return any_key_acknowledged(vmcores, _BEFORE)
