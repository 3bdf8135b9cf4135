"""Reads, writes and signs for small objects of the vmcore bucket. Owns the encryption that each is written with."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.runtime import clients
from lambdas.runtime.environment import VmcoreBucket
from lambdas.runtime.errors import BucketRefused
from lambdas.runtime.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A role that is assumed by another role's session has an hour at most, and its URLs die with it.
SESSION_SECONDS = 3600


def read(bucket: VmcoreBucket, key: str, *, longest_bytes: int) -> bytes | None:
    """The object's first bytes; None when it does not exist."""
    try:
        found = clients.s3().get_object(Bucket=bucket.bucket_name, Key=key)
    except ClientError as error:
        if code(error) == "NoSuchKey":
            return None
        raise
    return found["Body"].read(longest_bytes)


def read_tail(bucket: VmcoreBucket, key: str, *, bytes_wanted: int) -> bytes:
    """The object's last bytes; b"" when it cannot be read, because a page can do without it."""
    if not key:
        return b""
    try:
        found = clients.s3().get_object(Bucket=bucket.bucket_name, Key=key, Range=f"bytes=-{bytes_wanted}")
    except (ClientError, BotoCoreError) as error:
        logger.warning("%s: %s", key, error)
        return b""
    return found["Body"].read()


def write(bucket: VmcoreBucket, key: str, content: str | bytes, *, content_type: str) -> None:
    """Replaces it; the bucket keeps the version before."""
    clients.s3().put_object(
        Bucket=bucket.bucket_name,
        Key=key,
        Body=content.encode() if isinstance(content, str) else content,
        ContentType=content_type,
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=bucket.key_arn,
    )


def signing_client(
    bucket: VmcoreBucket, role_arn: str, *, session: str, statements: Sequence[Mapping[str, Any]]
) -> "S3Client":
    """Signs URLs as a role, in a session that these statements limit further: a leaked URL can do no more."""
    begun = clients.sts().assume_role(
        RoleArn=role_arn,
        RoleSessionName=session[:64],
        DurationSeconds=SESSION_SECONDS,
        Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )["Credentials"]
    credentials = clients.Credentials(begun["AccessKeyId"], begun["SecretAccessKey"], begun["SessionToken"])
    return clients.s3_for_presigning(bucket.upload_endpoint_url, credentials)


# How S3 says no to the caller, to the key's user, or to both: the bucket is there but not for us.
_REFUSALS = ("AccessDenied", "AllAccessDisabled", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch")
_KEY_REFUSAL_PREFIX = "KMS."


def code(error: ClientError) -> str:
    """S3's error code; HEAD has no body, so there it is the HTTP status."""
    return error.response["Error"]["Code"]


def explain_refusal(error: ClientError, bucket: str) -> BucketRefused | None:
    """BucketRefused when the bucket or its key denies access; None for every other error."""
    seen = code(error)
    if seen not in (*_REFUSALS, "403") and not seen.startswith(_KEY_REFUSAL_PREFIX):
        return None
    return BucketRefused(
        f"The bucket {bucket} refused {error.operation_name}: {seen} {error.response['Error'].get('Message', '')}.",
        "Check that the bucket exists, its policy, the function's role, the state and policy of its KMS key, and the"
        " organization's policies. Then start CollectVmcore again: the vmcore is still on the instance.",
    )
