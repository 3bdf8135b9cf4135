"""Acknowledges findings of cdk-nag, always with a reason, next to the construct that it concerns.

Two packs run: AwsSolutions and NIST 800-53 (rev. 5). Reasons that hold for all constructs of a kind are here.
"""

import aws_cdk as cdk
from constructs import IConstruct

_NIST = "NIST.800.53.R5-"

# For every role and every log group of the stack.
EVERYWHERE = {
    f"{_NIST}IAMNoInlinePolicy": "Each policy belongs to one role of this stack, says what that one does, and goes "
    "with it. A managed policy could be attached to something else.",
    f"{_NIST}CloudWatchLogGroupEncrypted": "CloudWatch Logs encrypts at rest with a key of its own. The logs hold ids, "
    "decisions and errors, neither memory nor URLs (tests/workflow/test_what_is_logged.py); a customer key that is "
    "lost or denied would silence them when they are needed.",
}
OF_A_FUNCTION = {
    f"{_NIST}LambdaInsideVPC": "Calls AWS APIs only, over TLS and by IAM, and touches nothing in a VPC. In one it "
    "would fail together with the network whose instances it watches.",
    f"{_NIST}LambdaConcurrency": "Reserved concurrency is taken from what the account's other functions share; what "
    "must not happen twice is guarded by the table.",
    f"{_NIST}LambdaDLQ": "Called by a state machine, which sees its errors; what events call has an on-failure "
    "destination and alarms instead.",
}
OF_THE_TABLE = {
    f"{_NIST}DynamoDBInBackupPlan": "Point-in-time recovery goes back to any second of 35 days. What has to be kept "
    "longer is in the bucket: incident.json of every incident.",
}
OF_THE_FLEET_TABLE = {
    f"{_NIST}DynamoDBInBackupPlan": "Point-in-time recovery goes back to any second of 35 days. All but the overrides "
    "is found out again: the instances, their tags and a run of ProvisionDumpVolume say the same.",
}
_ONE_PLACE = (
    "A vmcore is the memory of a host: a second bucket doubles who can read it. What must survive a Region is for its "
    "owner to decide, who can add replication to this bucket."
)
OF_THE_VMCORES = {f"{_NIST}S3BucketReplicationEnabled": _ONE_PLACE}
OF_THE_ACCESS_LOGS = {
    f"{_NIST}S3BucketReplicationEnabled": "Who read what of the bucket beside it; is of use only together with that.",
    f"{_NIST}S3BucketVersioningEnabled": "S3 writes each of these objects once, under a name of its own.",
    f"{_NIST}S3DefaultEncryptionKMS": "Log delivery writes with S3's key: a customer key would have to let the logging "
    "service in. Holds names of objects and of principals, no memory.",
}


def acknowledge(construct: IConstruct, reasons: dict[str, str]) -> None:
    """Records `{finding: reason}` on a construct. A finding is a rule or, for IAM5, one grant: see grants.wildcard."""
    acknowledgments = [cdk.Acknowledgment(id=finding, reason=reason) for finding, reason in reasons.items()]
    cdk.Validations.of(construct).acknowledge(*acknowledgments)
