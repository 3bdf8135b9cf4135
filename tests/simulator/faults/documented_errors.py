"""The errors that AWS documents for an action: what a cell of the matrix injects. Owns the table, not the injection.

Sources: the service models that botocore ships are AWS's own API definitions and list an operation's errors (SSM, Step
Functions, DynamoDB, Lambda, CloudWatch, SNS, STS, S3). EC2's model lists none: its table is from "Error codes for the
Amazon EC2 API" of the EC2 API reference. Every action has the "Common errors" of its service's reference as well.
"""

from dataclasses import dataclass

import botocore.session


@dataclass(frozen=True)
class DocumentedError:
    """A code, and whether it passes by itself: then it happens once in one cell, and for ever in another."""

    code: str
    is_transient: bool


_SESSION = botocore.session.get_session()

# Common errors, in the words of each protocol.
_COMMON = {
    "ec2": ("RequestLimitExceeded", "InternalError", "Unavailable", "UnauthorizedOperation"),
    "s3": ("SlowDown", "InternalError", "ServiceUnavailable", "AccessDenied"),
    "other": ("ThrottlingException", "InternalFailure", "ServiceUnavailable", "AccessDeniedException"),
}
# What each service really says when a rate is exceeded.
THROTTLING = {
    "ec2": "RequestLimitExceeded",
    "ssm": "ThrottlingException",
    "dynamodb": "ThrottlingException",
    "s3": "SlowDown",
    "cloudwatch": "Throttling",
    "sns": "Throttled",
    "stepfunctions": "ThrottlingException",
    "lambda": "TooManyRequestsException",
}
_TRANSIENT = (
    *("Throttl", "LimitExceeded", "TooManyRequests", "InternalError", "InternalFailure", "InternalServer"),
    *("Unavailable", "SlowDown", "ServiceException", "ServiceFault", "ProvisionedThroughput"),
)
_EC2 = {
    "CreateVolume": (
        *("VolumeLimitExceeded", "MaxIOPSLimitExceeded", "InsufficientVolumeCapacity", "InvalidParameterValue"),
        *("IdempotentParameterMismatch", "InvalidZone.NotFound"),
    ),
    "AttachVolume": (
        *("VolumeInUse", "IncorrectState", "InvalidVolume.NotFound", "InvalidInstanceID.NotFound"),
        *("AttachmentLimitExceeded", "InvalidVolume.ZoneMismatch", "InvalidParameterValue"),
    ),
    "DetachVolume": ("IncorrectState", "InvalidVolume.NotFound", "InvalidAttachment.NotFound"),
    "DeleteVolume": ("VolumeInUse", "InvalidVolume.NotFound"),
    "DescribeVolumes": ("InvalidVolume.NotFound",),
    "DescribeImages": ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"),
    "DescribeInstances": ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"),
    "DescribeInstanceStatus": ("InvalidInstanceID.NotFound",),
    "DescribeInstanceAttribute": ("InvalidInstanceID.NotFound",),
    "DescribeInstanceTypes": ("InvalidInstanceType",),
    "CreateTags": ("InvalidInstanceID.NotFound", "TagLimitExceeded"),
    "DeleteTags": ("InvalidInstanceID.NotFound",),
    "GetConsoleOutput": ("InvalidInstanceID.NotFound",),
    "GetConsoleScreenshot": ("InvalidInstanceID.NotFound", "IncorrectInstanceState"),
    "SendDiagnosticInterrupt": (
        *(
            "UnsupportedOperation",
            "IncorrectInstanceState",
            "InvalidInstanceID.NotFound",
            "InvalidInstanceID.Malformed",
        ),
    ),
    "StartInstances": (
        *("InsufficientInstanceCapacity", "InstanceLimitExceeded", "IncorrectInstanceState", "IncorrectState"),
        *("InvalidInstanceID.NotFound",),
    ),
    "CreateSnapshot": ("SnapshotCreationPerVolumeRateExceeded", "SnapshotLimitExceeded", "InvalidVolume.NotFound"),
    "DeleteSnapshot": ("InvalidSnapshot.NotFound", "InvalidSnapshot.InUse"),
    "RunInstances": (
        "InsufficientInstanceCapacity",
        "InstanceLimitExceeded",
        "VcpuLimitExceeded",
        "InvalidAMIID.NotFound",
    ),
    "TerminateInstances": ("InvalidInstanceID.NotFound", "OperationNotPermitted"),
}
# What the reference of S3 documents beside its model.
_S3 = {
    "GetObject": ("NoSuchKey",),
    "HeadObject": ("404",),
    "ListParts": ("NoSuchUpload",),
    "CompleteMultipartUpload": ("InvalidPart", "NoSuchUpload"),
    "AbortMultipartUpload": ("NoSuchUpload",),
}
# Of Lambda's three dozen errors those of a function as ours are: no VPC, no file system, no SnapStart, no SQS.
_NOT_OURS = (
    "EC2",
    "EFS",
    "ENI",
    "SnapStart",
    "Subnet",
    "InvalidSecurityGroup",
    "InvalidSubnet",
    "Durable",
    "Recursive",
)
# No faults, but answers to what was asked: is the condition true, is there such an execution? Said of their own accord
# they would be lies, and nobody can do anything about those.
_ANSWERS = ("ConditionalCheckFailedException", "ExecutionAlreadyExists")


def documented_errors(service: str, operation: str) -> list[DocumentedError]:
    """For `ec2`, `CreateVolume`; in an order that stays."""
    if service == "ec2":
        own: tuple[str, ...] = _EC2.get(operation, ())
    else:
        shapes = _SESSION.get_service_model(service).operation_model(operation).error_shapes
        own = tuple(shape.metadata.get("error", {}).get("code", shape.name) for shape in shapes)
        own = tuple(code for code in own if not code.startswith(_NOT_OURS))
        own += _S3.get(operation, ()) if service == "s3" else ()
    common = _COMMON.get(service, _COMMON["other"])
    codes = dict.fromkeys((*common, *sorted(own)))
    return [DocumentedError(code, any(word in code for word in _TRANSIENT)) for code in codes if code not in _ANSWERS]
