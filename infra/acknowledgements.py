"""How a construct acknowledges a finding of cdk-nag: always with its reason, beside the thing it concerns."""

import aws_cdk as cdk
from constructs import IConstruct


def acknowledge(construct: IConstruct, reasons: dict[str, str]) -> None:
    """Record `{finding: reason}` on a construct; a finding is a rule or, for IAM5, one grant: see grants.wildcard."""
    acknowledgments = [cdk.Acknowledgment(id=finding, reason=reason) for finding, reason in reasons.items()]
    cdk.Validations.of(construct).acknowledge(*acknowledgments)
