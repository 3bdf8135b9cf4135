"""Says what of a vmcore S3 still lacks, and gives the instance presigned URLs for exactly that.

Owns the multipart upload: created once per vmcore, found again in the incident record, resumed from what S3 lists.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas import clients, moment
from lambdas.environment import RecordKeeping, VmcoreBucket
from lambdas.errors import InvalidInput
from lambdas.incident import Incident, Upload, keys, timeline_entry
from lambdas.incident_table import IncidentTable
from lambdas.observability import entry_point, logger
from lambdas.plan_upload.presign import Line, Signer
from lambdas.vmcore_upload import Dmesg, Found, Vmcore, code, explain_refusal, is_part_right, read_found, read_parts


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incident","found"}`, gives the manifest's URL and how much is left; raises BucketRefused."""
    found = read_found(event["found"])
    bucket = VmcoreBucket.read()
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = records.read(event["incident"]["incidentId"])
    if incident is None:
        raise InvalidInput(f"No incident {event['incident']['incidentId']} in the table.", "Start CollectVmcore again.")
    try:
        return _plan(incident, found, prefix=event["incident"]["keyPrefix"], bucket=bucket, records=records)
    except ClientError as error:
        refused = explain_refusal(error, bucket.bucket_name)
        raise (refused or error) from error


def _plan(
    incident: Incident, found: Found, *, prefix: str, bucket: VmcoreBucket, records: IncidentTable
) -> dict[str, Any]:
    names = keys(prefix)
    signer = Signer(bucket.bucket_name, endpoint_url=bucket.upload_endpoint_url)
    lines: list[Line] = []
    missing: list[int] = []
    upload: Upload | None = None
    if found.dmesg is not None and not _holds_dmesg(bucket.bucket_name, names["dmesg"], found.dmesg):
        lines.append(signer.dmesg(names["dmesg"], found.dmesg))
    # An incomplete vmcore has no digests: its dmesg is all that is worth sending.
    if found.vmcore is not None and found.vmcore.part_digests:
        upload, missing = _find_missing(incident, found.vmcore, key=names["vmcore"], bucket=bucket, records=records)
        lines += signer.parts(names["vmcore"], found.vmcore, upload_id=upload.upload_id, missing=missing)
    remaining = len(missing) + sum(line.kind == "dmesg" for line in lines)
    logger.info("%d of the parts are missing, %d are signed", remaining, len(lines))
    planned: dict[str, Any] = {
        "remainingParts": remaining,
        "manifestUrl": _write_manifest(incident, lines, signer=signer, bucket=bucket, records=records),
        "keys": names,
        "vmcorePath": found.vmcore.path if found.vmcore else "none",
        "sizeBytes": found.vmcore.size_bytes if found.vmcore else 0,
        "modifiedEpoch": found.vmcore.modified_epoch if found.vmcore else 0,
    }
    return planned | ({"uploadId": upload.upload_id} if upload else {})


def _holds_dmesg(bucket: str, key: str, dmesg: Dmesg) -> bool:
    try:
        head = clients.s3().head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if code(error) in ("404", "NoSuchKey", "NotFound"):
            return False
        raise
    return head.get("ChecksumSHA256") == dmesg.digest


def _find_missing(
    incident: Incident, vmcore: Vmcore, *, key: str, bucket: VmcoreBucket, records: IncidentTable
) -> tuple[Upload, list[int]]:
    """The upload under way for this very vmcore, or a new one; and the parts that it lacks or holds wrongly."""
    held: dict[int, dict[str, Any]] = {}
    upload = incident.upload
    if upload is not None and not _is_for(upload, vmcore):
        _abort(upload, key=key, bucket=bucket)
        upload = None
    if upload is not None:
        try:
            held = read_parts(bucket.bucket_name, key, upload.upload_id)
        except ClientError as error:
            if code(error) != "NoSuchUpload":
                raise
            upload = None
    if upload is None:
        upload = _create(incident, vmcore, key=key, bucket=bucket, records=records)
    numbers = range(1, len(vmcore.part_digests) + 1)
    return upload, [n for n in numbers if not is_part_right(vmcore, n, held.get(n, {}))]


def _is_for(upload: Upload, vmcore: Vmcore) -> bool:
    return (upload.vmcore_path, upload.size_bytes, upload.modified_epoch, upload.part_bytes) == (
        vmcore.path,
        vmcore.size_bytes,
        vmcore.modified_epoch,
        vmcore.part_bytes,
    )


def _create(incident: Incident, vmcore: Vmcore, *, key: str, bucket: VmcoreBucket, records: IncidentTable) -> Upload:
    """A crash before the record is written leaves an upload that the bucket's lifecycle aborts."""
    created = clients.s3().create_multipart_upload(
        Bucket=bucket.bucket_name,
        Key=key,
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=bucket.key_arn,
        ChecksumAlgorithm="SHA256",
        ChecksumType="COMPOSITE",
        ContentType="application/octet-stream",
        Metadata={"instance-id": incident.instance_id, "incident-id": incident.incident_id},
    )
    upload = Upload(
        upload_id=created["UploadId"],
        vmcore_path=vmcore.path,
        size_bytes=vmcore.size_bytes,
        modified_epoch=vmcore.modified_epoch,
        part_bytes=vmcore.part_bytes,
    )
    entry = timeline_entry(
        moment.now(), "upload-started", f"{vmcore.size_bytes} bytes in {len(vmcore.part_digests)} parts"
    )
    records.update(incident.incident_id, {"upload": upload.model_dump(by_alias=True)}, timeline=[entry])
    return upload


def _abort(upload: Upload, *, key: str, bucket: VmcoreBucket) -> None:
    try:
        clients.s3().abort_multipart_upload(Bucket=bucket.bucket_name, Key=key, UploadId=upload.upload_id)
    except ClientError as error:
        if code(error) != "NoSuchUpload":
            raise


def _write_manifest(
    incident: Incident, lines: list[Line], *, signer: Signer, bucket: VmcoreBucket, records: IncidentTable
) -> str:
    """A new object each time, so that a document which is still reading an older one is not confused."""
    if not lines:
        return "none"
    number = incident.manifest_count + 1
    key = f"manifests/{incident.incident_id}/{number}.tsv"
    clients.s3().put_object(
        Bucket=bucket.bucket_name,
        Key=key,
        Body="".join(line.as_tsv() for line in lines).encode(),
        ContentType="text/tab-separated-values",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=bucket.key_arn,
    )
    records.update(incident.incident_id, {"manifestCount": number})
    return signer.manifest(key)
