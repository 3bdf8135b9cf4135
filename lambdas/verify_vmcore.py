"""Completes the upload and proves that the object in S3 is the vmcore which the instance described.

Only after this may anything be removed from the instance's disk. What is not identical is deleted from the bucket.
"""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas import clients, moment
from lambdas.environment import RecordKeeping, VmcoreBucketName
from lambdas.errors import InvalidInput, UploadIncomplete, VmcoreNotIdentical
from lambdas.incident import timeline_entry
from lambdas.incident_table import IncidentTable
from lambdas.observability import entry_point, logger
from lambdas.vmcore_upload import Vmcore, code, explain_refusal, is_part_right, read_found, read_parts

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_AGAIN = "The vmcore is still on the instance: start CollectVmcore again."


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incident","found","upload"}`, gives `{"verified":true,"key","sizeBytes","digest","parts"}`."""
    bucket = VmcoreBucketName.read().bucket_name
    vmcore = read_found(event["found"]).vmcore
    if vmcore is None or not vmcore.part_digests:
        raise InvalidInput("The vmcore found has no digests: an incomplete one cannot be verified.", _AGAIN)
    upload = event["upload"]
    try:
        verified = _verify(vmcore, bucket=bucket, key=upload["keys"]["vmcore"], upload_id=upload["uploadId"])
    except ClientError as error:
        raise (explain_refusal(error, bucket) or error) from error
    records = IncidentTable(RecordKeeping.read().table_name)
    entry = timeline_entry(moment.now(), "verified", f"{verified['sizeBytes']} bytes, sha256 {verified['digest']}")
    records.update(event["incident"]["incidentId"], {}, timeline=[entry])
    logger.info("Verified %s: %d bytes in %d parts", verified["key"], verified["sizeBytes"], verified["parts"])
    return verified


def _verify(vmcore: Vmcore, *, bucket: str, key: str, upload_id: str) -> dict[str, Any]:
    try:
        held = read_parts(bucket, key, upload_id)
    except ClientError as error:
        if code(error) != "NoSuchUpload":
            raise
        # Completed already, when this state is entered again: the object itself tells.
        held = None
    if held is not None:
        _require_parts(vmcore, held, bucket=bucket, key=key, upload_id=upload_id)
        _complete(vmcore, held, bucket=bucket, key=key, upload_id=upload_id)
    return _require_object(vmcore, bucket=bucket, key=key)


def _require_parts(vmcore: Vmcore, held: dict[int, dict[str, Any]], *, bucket: str, key: str, upload_id: str) -> None:
    expected = set(range(1, len(vmcore.part_digests) + 1))
    missing = sorted(expected - held.keys())
    if missing:
        raise UploadIncomplete(
            f"S3 lacks {len(missing)} of {len(expected)} parts of {key}, first {missing[0]}.", _AGAIN
        )
    wrong = sorted(held.keys() - expected) + [n for n in sorted(expected) if not is_part_right(vmcore, n, held[n])]
    if wrong:
        clients.s3().abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        raise VmcoreNotIdentical(
            f"Part {wrong[0]} of {key} is not what the instance described ({len(wrong)} such parts); upload aborted.",
            _AGAIN,
        )


def _complete(vmcore: Vmcore, held: dict[int, dict[str, Any]], *, bucket: str, key: str, upload_id: str) -> None:
    parts: list[CompletedPartTypeDef] = [
        {"PartNumber": number, "ETag": held[number]["ETag"], "ChecksumSHA256": digest}
        for number, digest in enumerate(vmcore.part_digests, start=1)
    ]
    try:
        clients.s3().complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            # S3 refuses to complete when the parts do not add up to this.
            MpuObjectSize=vmcore.size_bytes,
            MultipartUpload={"Parts": parts},
        )
    except ClientError as error:
        # botocore repeats a request whose answer was lost; the object then tells what happened.
        if code(error) != "NoSuchUpload":
            raise


def _require_object(vmcore: Vmcore, *, bucket: str, key: str) -> dict[str, Any]:
    try:
        head = clients.s3().head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if code(error) not in ("404", "NoSuchKey", "NotFound"):
            raise
        raise UploadIncomplete(f"Neither an upload nor an object {key} is in {bucket}.", _AGAIN) from error
    size_bytes, digest = head["ContentLength"], head.get("ChecksumSHA256", "")
    if size_bytes != vmcore.size_bytes or digest != vmcore.composite_digest():
        version = {"VersionId": head["VersionId"]} if head.get("VersionId") else {}
        clients.s3().delete_object(Bucket=bucket, Key=key, **version)  # type: ignore[arg-type]
        raise VmcoreNotIdentical(
            f"{key} has {size_bytes} bytes and digest {digest or 'unknown'}; the instance described {vmcore.size_bytes}"
            f" bytes and {vmcore.composite_digest()}. The object was deleted.",
            _AGAIN,
        )
    parts = len(vmcore.part_digests)
    return {"verified": True, "key": key, "sizeBytes": size_bytes, "digest": digest, "parts": parts}
