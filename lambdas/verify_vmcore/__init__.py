"""Completes the upload and proves that the object in S3 is the vmcore which the instance described.

Only after this may anything be removed from the instance's disk. What is not identical is deleted from the bucket.
"""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.digest_lists import Digests, read_lists
from lambdas.incident.record import Incident, Upload, timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.runtime import clients, moment
from lambdas.runtime.bucket import code, explain_refusal
from lambdas.runtime.environment import RecordKeeping, VmcoreBucketName
from lambdas.runtime.errors import InvalidInput, UploadIncomplete, VmcoreNotIdentical
from lambdas.runtime.observability import entry_point, logger
from lambdas.verify_vmcore.custody import Verified, Way, write_custody
from lambdas.vmcore_upload import Held, composite_digest, is_part_right, read_found, read_parts

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_AGAIN = "The vmcore is still on the instance: start CollectVmcore again."


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incident","found","upload","rescue"?}`, gives `{"verified":true,"key","sizeBytes","digest","parts"}`."""
    bucket = VmcoreBucketName.read().bucket_name
    found, planned = read_found(event["found"]), event["upload"]
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = records.read(event["incident"]["incidentId"])
    upload = incident.upload if incident else None
    if incident is None or upload is None or upload.upload_id != planned.get("uploadId") or not found.complete_vmcore:
        raise InvalidInput("There is no upload of this vmcore to verify: an incomplete one is never verified.", _AGAIN)
    try:
        verified = _verify(incident, upload, bucket=bucket, key=planned["keys"]["vmcore"])
        way = Way(incident, upload, found, rescue=event.get("rescue"))
        write_custody(verified, way, bucket=bucket, key=planned["keys"]["manifest"])
    except ClientError as error:
        raise (explain_refusal(error, bucket) or error) from error
    entry = timeline_entry(moment.now(), "verified", f"{verified.size_bytes} bytes, sha256 {verified.digest}")
    records.update(incident.incident_id, {}, timeline=[entry])
    logger.info("Verified %s: %d bytes in %d parts", verified.key, verified.size_bytes, len(verified.digests))
    return {
        "verified": True,
        "key": verified.key,
        "sizeBytes": verified.size_bytes,
        "digest": verified.digest,
        "parts": len(verified.digests),
    }


def _verify(incident: Incident, upload: Upload, *, bucket: str, key: str) -> Verified:
    digests = _all_digests(incident, upload, bucket=bucket)
    try:
        held = read_parts(bucket, key, upload.upload_id)
    except ClientError as error:
        if code(error) != "NoSuchUpload":
            raise
        # Completed already, when this state is entered again: the object itself tells.
        held = None
    if held is not None:
        _require_parts(upload, digests, held, bucket=bucket, key=key)
        _complete(upload, digests, held, bucket=bucket, key=key)
    return _require_object(upload, digests, bucket=bucket, key=key)


def _all_digests(incident: Incident, upload: Upload, *, bucket: str) -> Digests:
    lists = read_lists(bucket, incident.incident_id, upload.upload_id, upload.plan)
    if len(lists) < upload.plan.batches:
        raise UploadIncomplete(
            f"{len(lists)} of {upload.plan.batches} batches of {upload.vmcore_path} have digests.", _AGAIN
        )
    return {number: digest for digests in lists.values() for number, digest in digests.items()}


def _require_parts(upload: Upload, digests: Digests, held: Held, *, bucket: str, key: str) -> None:
    missing = sorted(digests.keys() - held.keys())
    if missing:
        raise UploadIncomplete(f"S3 lacks {len(missing)} of {len(digests)} parts of {key}, first {missing[0]}.", _AGAIN)
    wrong = sorted(held.keys() - digests.keys()) + [
        number
        for number, digest in digests.items()
        if not is_part_right(held[number], length=upload.plan.length_of(number), digest=digest)
    ]
    if wrong:
        clients.s3().abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload.upload_id)
        raise VmcoreNotIdentical(
            f"Part {wrong[0]} of {key} is not what the instance described ({len(wrong)} such parts); upload aborted.",
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
            # S3 refuses to complete when the parts do not add up to this.
            MpuObjectSize=upload.size_bytes,
            MultipartUpload={"Parts": parts},
        )
    except ClientError as error:
        # botocore repeats a request whose answer was lost; the object then tells what happened.
        if code(error) != "NoSuchUpload":
            raise


def _require_object(upload: Upload, digests: Digests, *, bucket: str, key: str) -> Verified:
    try:
        head = clients.s3().head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if code(error) not in ("404", "NoSuchKey", "NotFound"):
            raise
        raise UploadIncomplete(f"Neither an upload nor an object {key} is in {bucket}.", _AGAIN) from error
    said = composite_digest(digests[number] for number in sorted(digests))
    size_bytes, digest = head["ContentLength"], head.get("ChecksumSHA256", "")
    if size_bytes != upload.size_bytes or digest != said:
        version = {"VersionId": head["VersionId"]} if head.get("VersionId") else {}
        clients.s3().delete_object(Bucket=bucket, Key=key, **version)  # type: ignore[arg-type]
        raise VmcoreNotIdentical(
            f"{key} has {size_bytes} bytes and digest {digest or 'unknown'}; the instance described {upload.size_bytes}"
            f" bytes and {said}. The object was deleted.",
            _AGAIN,
        )
    return Verified(key, head.get("VersionId", ""), size_bytes, digest, digests)
