"""Completes an upload and proves that the object in S3 is the vmcore that the instance hashed."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lambdas.incident.record import Incident, Upload
from lambdas.runtime import clients
from lambdas.runtime.bucket import code
from lambdas.runtime.errors import UploadIncomplete, VmcoreNotIdentical
from lambdas.upload.custody import Verified
from lambdas.upload.digest_lists import Digests, read_lists
from lambdas.upload.found import Held, composite_digest, is_part_right, read_parts

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef
from lambdas.upload.part_plan import PartPlan

_AGAIN = "The vmcore is still on the instance: start CollectVmcore again."


def verify(incident: Incident, upload: Upload, *, bucket: str, key: str) -> Verified:
    digests = _all_digests(incident, upload, bucket=bucket)
    try:
        held = read_parts(bucket, key, upload.upload_id)
    except ClientError as error:
        if code(error) != "NoSuchUpload":
            raise
        # An earlier attempt completed the upload: check the object itself.
        held = None
    if held is not None:
        _require_parts(upload, digests, held, bucket=bucket, key=key)
        _complete(upload, digests, held, bucket=bucket, key=key)
    return _require_object(upload, digests, bucket=bucket, key=key)


def _all_digests(incident: Incident, upload: Upload, *, bucket: str) -> Digests:
    lists = read_lists(bucket, incident.incident_id, upload.upload_id, PartPlan.of(upload))
    if len(lists) < PartPlan.of(upload).batches:
        raise UploadIncomplete(
            f"{len(lists)} of {PartPlan.of(upload).batches} batches of {upload.vmcore_path} have digests.", _AGAIN
        )
    return {number: digest for digests in lists.values() for number, digest in digests.items()}


def _require_parts(upload: Upload, digests: Digests, held: Held, *, bucket: str, key: str) -> None:
    missing = sorted(digests.keys() - held.keys())
    if missing:
        raise UploadIncomplete(f"S3 lacks {len(missing)} of {len(digests)} parts of {key}, first {missing[0]}.", _AGAIN)
    wrong = sorted(held.keys() - digests.keys()) + [
        number
        for number, digest in digests.items()
        if not is_part_right(held[number], length=PartPlan.of(upload).length_of(number), digest=digest)
    ]
    if wrong:
        clients.s3().abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload.upload_id)
        raise VmcoreNotIdentical(
            f"Part {wrong[0]} of {key} differs from the instance's digest ({len(wrong)} such parts); upload aborted.",
            _AGAIN,
        )


def _complete(upload: Upload, digests: Digests, held: Held, *, bucket: str, key: str) -> None:
    parts: list[CompletedPartTypeDef] = [
        {"PartNumber": number, "ETag": held[number]["ETag"], "ChecksumSHA256": digests[number]}
        for number in sorted(digests)
    ]
    try:
        clients.s3().complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload.upload_id,
            # S3 refuses to complete if the parts do not add up to this.
            MpuObjectSize=upload.size_bytes,
            MultipartUpload={"Parts": parts},
        )
    except ClientError as error:
        # botocore retries a request whose answer was lost: the object then shows what happened.
        if code(error) != "NoSuchUpload":
            raise


def _require_object(upload: Upload, digests: Digests, *, bucket: str, key: str) -> Verified:
    try:
        head = clients.s3().head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if code(error) not in ("404", "NoSuchKey", "NotFound"):
            raise
        raise UploadIncomplete(f"Neither an upload nor an object {key} is in {bucket}.", _AGAIN) from error
    expected = composite_digest(digests[number] for number in sorted(digests))
    size_bytes, digest = head["ContentLength"], head.get("ChecksumSHA256", "")
    if size_bytes != upload.size_bytes or digest != expected:
        version = {"VersionId": head["VersionId"]} if head.get("VersionId") else {}
        clients.s3().delete_object(Bucket=bucket, Key=key, **version)  # type: ignore[arg-type]
        raise VmcoreNotIdentical(
            f"{key} has {size_bytes} bytes and the digest {digest or 'unknown'}; the instance's file has"
            f" {upload.size_bytes} bytes and {expected}. The object was deleted.",
            _AGAIN,
        )
    return Verified(key, head.get("VersionId", ""), size_bytes, digest, digests)
