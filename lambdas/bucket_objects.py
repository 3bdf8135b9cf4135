"""Reads and writes small objects of the vmcore bucket. Owns the encryption that each is written with."""

from botocore.exceptions import BotoCoreError, ClientError

from lambdas import clients
from lambdas.environment import VmcoreBucket
from lambdas.observability import logger
from lambdas.s3_errors import code


def read(bucket: VmcoreBucket, key: str, *, longest_bytes: int) -> bytes | None:
    """Its first bytes; None when there is no such object."""
    try:
        found = clients.s3().get_object(Bucket=bucket.bucket_name, Key=key)
    except ClientError as error:
        if code(error) == "NoSuchKey":
            return None
        raise
    return found["Body"].read(longest_bytes)


def read_tail(bucket: VmcoreBucket, key: str, *, bytes_wanted: int) -> bytes:
    """Its last bytes; b"" when it cannot be read, for what a page can do without."""
    if not key:
        return b""
    try:
        found = clients.s3().get_object(Bucket=bucket.bucket_name, Key=key, Range=f"bytes=-{bytes_wanted}")
    except (ClientError, BotoCoreError) as error:
        logger.warning("%s: %s", key, error)
        return b""
    return found["Body"].read()


def write(bucket: VmcoreBucket, key: str, text: str, *, content_type: str) -> None:
    """Replaces it; the bucket keeps the version before."""
    clients.s3().put_object(
        Bucket=bucket.bucket_name,
        Key=key,
        Body=text.encode(),
        ContentType=content_type,
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=bucket.key_arn,
    )
