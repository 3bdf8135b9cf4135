"""The State Manager association of check_kdump: it runs on every instance with the owner's tag, however many there are.

A failure rings EnrolFleet's bell, and shows as non-compliant in Systems Manager Compliance.
"""

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.foundation.documents import Documents
from infra.settings import Settings
from lambdas.runtime.tags import ENROLLED_TAG

_DOCUMENT = "check_kdump"


def check_association(scope: Construct, *, documents: Documents, settings: Settings) -> ssm.CfnAssociation:
    """It also runs when an instance is tagged or its agent answers for the first time; after a reboot it does not."""
    hours = settings.check_interval_hours
    return ssm.CfnAssociation(
        scope,
        "CheckFleet",
        name=documents.name(_DOCUMENT),
        association_name=f"{cdk.Aws.STACK_NAME}-{_DOCUMENT}",
        targets=[ssm.CfnAssociation.TargetProperty(key=f"tag:{ENROLLED_TAG}", values=["true"])],
        # An instance's own settings can have another mount point than the stack's.
        parameters={"mountPoint": ["found"], "exitWhenNotReady": ["true"]},
        schedule_expression=f"rate({hours} hour{'s' if hours > 1 else ''})",
        # Many that are not ready must not keep the others from being checked. AWS's pages differ on the defaults.
        max_concurrency="100%",
        max_errors="100%",
        compliance_severity="HIGH",
    )
