"""The boto3 clients, created on first use and kept for the life of the execution environment.

boto3 itself honours AWS_ENDPOINT_URL, which the lab sets.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

# Most functions have a minute: a call that is never answered must have failed by then, to be heard as AwsUnavailable.
_DEFAULT = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=2, read_timeout=7)
# botocore must not retry SendDiagnosticInterrupt: a second one can kill the dump that the first one started. A second
# EnterStandby or ExitStandby fails because the first one worked.
# The read timeout is longer than any expected answer: after a timeout nobody knows whether the interrupt was sent.
_ONE_ATTEMPT = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
# For evidence that an interrupt waits only briefly for.
_BEST_EFFORT = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=4)
# For calls between the claim and the interrupt: if the function timed out there, the interrupt may have been sent.
_SHORT_RETRY = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=2, read_timeout=5)


@cache
def ec2() -> "EC2Client":
    """EC2, for everything but the interrupt."""
    return boto3.client("ec2", config=_DEFAULT)


@cache
def ec2_without_retries() -> "EC2Client":
    """EC2, for SendDiagnosticInterrupt only."""
    return boto3.client("ec2", config=_ONE_ATTEMPT)


@cache
def ec2_best_effort() -> "EC2Client":
    """EC2, for the evidence before an interrupt."""
    return boto3.client("ec2", config=_BEST_EFFORT)


@cache
def autoscaling() -> Any:
    """Auto Scaling. Typed Any: its stubs are not among the requirements."""
    return boto3.client("autoscaling", config=_DEFAULT)


@cache
def autoscaling_without_retries() -> Any:
    """Auto Scaling, for EnterStandby and ExitStandby."""
    return boto3.client("autoscaling", config=_ONE_ATTEMPT)


@cache
def lambda_() -> "LambdaClient":
    """The functions of this stack."""
    return boto3.client("lambda", config=_DEFAULT)


@cache
def ssm() -> "SSMClient":
    """Systems Manager."""
    return boto3.client("ssm", config=_DEFAULT)


@cache
def ssm_short_retry() -> "SSMClient":
    """Systems Manager, for the kill switch."""
    return boto3.client("ssm", config=_SHORT_RETRY)


@cache
def cloudwatch() -> "CloudWatchClient":
    """CloudWatch alarms."""
    return boto3.client("cloudwatch", config=_DEFAULT)


@cache
def cloudwatch_best_effort() -> "CloudWatchClient":
    """CloudWatch, for the metrics before an interrupt."""
    return boto3.client("cloudwatch", config=_BEST_EFFORT)


@cache
def dynamodb() -> "DynamoDBClient":
    """The incident table."""
    return boto3.client("dynamodb", config=_DEFAULT)


@cache
def sns() -> "SNSClient":
    """Notifications."""
    return boto3.client("sns", config=_DEFAULT)


@cache
def events() -> "EventBridgeClient":
    """The default bus."""
    return boto3.client("events", config=_DEFAULT)


@cache
def stepfunctions() -> "SFNClient":
    """CollectVmcore."""
    return boto3.client("stepfunctions", config=_DEFAULT)


@cache
def s3() -> "S3Client":
    """The vmcore bucket."""
    return boto3.client("s3", config=_DEFAULT)


@cache
def s3_best_effort() -> "S3Client":
    """The vmcore bucket, for the evidence before an interrupt."""
    return boto3.client("s3", config=_BEST_EFFORT)


@cache
def s3_for_links() -> "S3Client":
    """Signs links to reports with the function's own session; objects under a KMS key require s3v4."""
    # The global endpoint would redirect to another host, for which the signature is wrong.
    config = Config(
        signature_version="s3v4", s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
    )
    return boto3.client("s3", config=config)


@cache
def sts() -> "STSClient":
    """STS, for the sessions that sign URLs."""
    return boto3.client("sts", config=_DEFAULT)


@dataclass(frozen=True)
class Credentials:
    """The credentials of a session."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)


def s3_for_presigning(endpoint_url: str, credentials: Credentials) -> "S3Client":
    """Signs URLs for the instances. `endpoint_url` is the S3 endpoint that they use; empty means the Region's.

    `when_required` keeps botocore from signing a CRC32, which curl would have to send too.
    A given endpoint gets path style: an IP address has no subdomains, and an interface VPC endpoint serves both styles.
    """
    config = Config(
        signature_version="s3v4",
        # "auto" signs for the global s3.amazonaws.com, which redirects (307) to other Regions and breaks a PUT.
        s3={"addressing_style": "path" if endpoint_url else "virtual", "us_east_1_regional_endpoint": "regional"},
        request_checksum_calculation="when_required",
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url or None,
        config=config,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
    )
