"""Completes the upload and proves that the object in S3 is the vmcore that the instance hashed.

Only after this may the vmcore be removed from the instance's disk. An object that differs is deleted from the bucket.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.incident.record import timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.runtime import moment
from lambdas.runtime.bucket import explain_refusal
from lambdas.runtime.environment import RecordKeeping, VmcoreBucketName
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.observability import entry_point, logger
from lambdas.upload.custody import UploadOrigin, write_custody
from lambdas.upload.found import read_found
from lambdas.upload.verify import _AGAIN, verify


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incident","found","upload","rescue"?}`, gives `{"verified":true,"key","sizeBytes","digest","parts"}`."""
    bucket = VmcoreBucketName.read().bucket_name
    found, planned = read_found(event["found"]), event["upload"]
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = records.read(event["incident"]["incidentId"])
    upload = incident.upload if incident else None
    if incident is None or upload is None or upload.upload_id != planned.get("uploadId") or not found.complete_vmcore:
        raise InvalidInput("There is no upload of this vmcore to verify; only a complete vmcore is verified.", _AGAIN)
    names = incident.object_keys
    try:
        verified = verify(incident, upload, bucket=bucket, key=names["vmcore"])
        origin = UploadOrigin(incident, upload, found, rescue=event.get("rescue"))
        write_custody(verified, origin, bucket=bucket, key=names["manifest"])
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
