"""S3's refusals, read from botocore's errors."""

from botocore.exceptions import ClientError

from lambdas.errors import BucketRefused

# How S3 says no to the caller, to the key's user, or to both: the bucket is there but not for us.
_REFUSALS = ("AccessDenied", "AllAccessDisabled", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch")
_KEY_REFUSAL_PREFIX = "KMS."


def code(error: ClientError) -> str:
    """S3's error code; HEAD has no body, so there it is the HTTP status."""
    return error.response["Error"]["Code"]


def explain_refusal(error: ClientError, bucket: str) -> BucketRefused | None:
    """The named error when the bucket or its key says no; None for every other error."""
    seen = code(error)
    if seen not in (*_REFUSALS, "403") and not seen.startswith(_KEY_REFUSAL_PREFIX):
        return None
    return BucketRefused(
        f"The bucket {bucket} refused {error.operation_name}: {seen} {error.response['Error'].get('Message', '')}.",
        "Check that the bucket exists, its policy, the function's role, the state and policy of its KMS key, and the"
        " organization's policies; then start CollectVmcore again: the vmcore is still on the instance.",
    )
