"""Creates the multipart upload, once per vmcore, and finds it again in the incident record."""

from botocore.exceptions import ClientError

from lambdas.incident.record import Incident, Upload, timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.instance.document_models import Found, Vmcore
from lambdas.runtime import clients, moment
from lambdas.runtime.bucket import code
from lambdas.runtime.environment import UploadRates, VmcoreBucket
from lambdas.upload.part_plan import PartPlan, plan_parts


def upload_for(
    incident: Incident, found: Found, vmcore: Vmcore, *, key: str, bucket: VmcoreBucket, records: IncidentTable
) -> Upload:
    """The upload under way for this vmcore, or a new one. Aborts an upload for another vmcore."""
    upload = incident.upload
    if upload is not None and not _is_for(upload, vmcore):
        _abort(upload, key=key, bucket=bucket.bucket_name)
    elif upload is not None and _is_there(upload, key=key, bucket=bucket.bucket_name):
        return upload
    rate = UploadRates.read().expected_bytes_per_second
    plan = plan_parts(vmcore.size_bytes, memory_bytes=found.memory_bytes, bytes_per_second=rate)
    created = _create(incident, vmcore, plan, key=key, bucket=bucket)
    entry = timeline_entry(moment.now(), "upload-started", f"{plan.size_bytes} bytes in {plan.parts} parts")
    # If the function dies before this, the bucket's lifecycle aborts the upload.
    records.update(incident.incident_id, {"upload": created.model_dump(by_alias=True)}, timeline=[entry])
    return created


def _is_for(upload: Upload, vmcore: Vmcore) -> bool:
    return (upload.vmcore_path, upload.size_bytes, upload.modified_epoch) == (
        vmcore.path,
        vmcore.size_bytes,
        vmcore.modified_epoch,
    )


def _is_there(upload: Upload, *, key: str, bucket: str) -> bool:
    try:
        clients.s3().list_parts(Bucket=bucket, Key=key, UploadId=upload.upload_id, MaxParts=1)
    except ClientError as error:
        if code(error) != "NoSuchUpload":
            raise
        return False
    return True


def _create(incident: Incident, vmcore: Vmcore, plan: PartPlan, *, key: str, bucket: VmcoreBucket) -> Upload:
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
    return Upload(
        upload_id=created["UploadId"],
        vmcore_path=vmcore.path,
        size_bytes=vmcore.size_bytes,
        modified_epoch=vmcore.modified_epoch,
        part_bytes=plan.part_bytes,
        parts_per_batch=plan.parts_per_batch,
    )


def _abort(upload: Upload, *, key: str, bucket: str) -> None:
    try:
        clients.s3().abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload.upload_id)
    except ClientError as error:
        if code(error) != "NoSuchUpload":
            raise
