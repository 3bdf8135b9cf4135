"""What uploading and verifying have in common: the instance's description of its dump, and what S3 holds of it."""

import base64
import hashlib
from typing import Annotated, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from lambdas import clients
from lambdas.errors import BucketRefused, InvalidInput

# How S3 says no to the caller, to the key's user, or to both: the bucket is there but not for us.
_REFUSALS = ("AccessDenied", "AllAccessDisabled", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch")
_KEY_REFUSAL_PREFIX = "KMS."


# base64 of the 32 bytes of a SHA-256; nothing else may reach a signed header or the manifest
Digest = Annotated[str, Field(pattern="^[A-Za-z0-9+/]{43}=$")]


class FromInstance(BaseModel):
    """Base: camelCase. Keys that a newer document adds are let through."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore")


class Vmcore(FromInstance):
    """The dump; an incomplete one has neither part size nor digests."""

    path: str
    size_bytes: int
    modified_epoch: int = 0
    part_bytes: int = 0
    part_digests: tuple[Digest, ...] = ()

    def length_of(self, part_number: int) -> int:
        """Bytes of a part, counted from 1; the last may be shorter."""
        return min(self.part_bytes, self.size_bytes - self.offset_of(part_number))

    def offset_of(self, part_number: int) -> int:
        """Where a part begins."""
        return (part_number - 1) * self.part_bytes

    def composite_digest(self) -> str:
        """What S3 computes for the whole: base64(sha256(the parts' raw digests)), a dash, their number."""
        raw = b"".join(base64.b64decode(digest, validate=True) for digest in self.part_digests)
        return f"{base64.b64encode(hashlib.sha256(raw).digest()).decode()}-{len(self.part_digests)}"


class Dmesg(FromInstance):
    """The kernel's log beside the dump."""

    path: str
    size_bytes: int
    digest: Digest


class Found(FromInstance):
    """What `upload_vmcore find` reports."""

    status: str
    vmcore: Vmcore | None = None
    dmesg: Dmesg | None = None


def read_found(given: Any) -> Found:
    """Raises InvalidInput when it is not what the document prints, or does not add up."""
    try:
        found = Found.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise InvalidInput(
            f"upload_vmcore find reported something else: {problems}.", "Update the documents."
        ) from error
    vmcore = found.vmcore
    if vmcore is not None and vmcore.part_digests:
        parts = -(-vmcore.size_bytes // vmcore.part_bytes) if vmcore.part_bytes > 0 else 0
        if parts != len(vmcore.part_digests):
            raise InvalidInput(
                f"{vmcore.path} of {vmcore.size_bytes} bytes has {parts} parts of {vmcore.part_bytes} bytes,"
                f" but {len(vmcore.part_digests)} digests.",
                "Start CollectVmcore again.",
            )
    return found


def read_parts(bucket: str, key: str, upload_id: str) -> dict[int, dict[str, Any]]:
    """By number, the parts that S3 holds; raises ClientError NoSuchUpload when it is completed or aborted."""
    pages = clients.s3().get_paginator("list_parts").paginate(Bucket=bucket, Key=key, UploadId=upload_id)
    return {part["PartNumber"]: dict(part) for page in pages for part in page.get("Parts", [])}


def is_part_right(vmcore: Vmcore, part_number: int, held: dict[str, Any]) -> bool:
    """Size and digest as the instance computed them."""
    digest = vmcore.part_digests[part_number - 1]
    return held.get("Size") == vmcore.length_of(part_number) and held.get("ChecksumSHA256") == digest


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
