"""Plans a round of an upload: which parts the instance sends, and which it hashes meanwhile."""

from typing import Any

from botocore.exceptions import ClientError

from lambdas.incident.record import Incident, Upload
from lambdas.incident.table import IncidentTable
from lambdas.instance.document_models import Dmesg, Found
from lambdas.runtime import clients, moment
from lambdas.runtime.bucket import code
from lambdas.runtime.environment import VmcoreBucket
from lambdas.runtime.observability import logger
from lambdas.upload.digest_lists import read_lists
from lambdas.upload.found import is_part_right, read_parts
from lambdas.upload.manifest import Line, Signer, write_manifest
from lambdas.upload.multipart import upload_for
from lambdas.upload.part_plan import PartPlan

# After exactly this many rounds without progress the batch is hashed again. If its list of digests is wrong (damaged
# on its way, or misread when hashed), S3 refuses the right bytes for ever.
REHASH_AFTER_STALLED_ROUNDS = 1


def plan_round(
    incident: Incident, found: Found, *, names: dict[str, str], bucket: VmcoreBucket, records: IncidentTable
) -> dict[str, Any]:
    """The round as the state machine reads it: keys, file, progress, and `manifestUrl` ("none": nothing is left)."""
    vmcore = found.complete_vmcore
    signer = Signer(bucket, incident.incident_id, names=names)
    lines: list[Line] = []
    planned: dict[str, Any] = {
        "keys": names,
        "vmcorePath": found.vmcore.path if found.vmcore else "none",
        "sizeBytes": found.vmcore.size_bytes if found.vmcore else 0,
        "modifiedEpoch": found.vmcore.modified_epoch if found.vmcore else 0,
        "parts": 0,
        "heldParts": 0,
        "heldBytes": 0,
        "plannedEpoch": moment.epoch(moment.now()),
    }
    if found.dmesg is not None and not _holds_dmesg(bucket.bucket_name, names["dmesg"], found.dmesg):
        lines.append(signer.dmesg(found.dmesg))
    if vmcore is not None:
        upload = upload_for(incident, found, vmcore, key=names["vmcore"], bucket=bucket, records=records)
        part_lines, progress = _next_lines(incident, upload, key=names["vmcore"], bucket=bucket, signer=signer)
        lines += part_lines
        planned |= {"uploadId": upload.upload_id, "parts": PartPlan.of(upload).parts, **progress}
    manifest_url = write_manifest(incident, lines, signer=signer, bucket=bucket, records=records) if lines else "none"
    return planned | {"manifestUrl": manifest_url, "isAnythingLeft": bool(lines)}


def _next_lines(
    incident: Incident, upload: Upload, *, key: str, bucket: VmcoreBucket, signer: Signer
) -> tuple[list[Line], dict[str, int]]:
    """The manifest's lines: send the missing parts of the first incomplete batch, and hash the next batch meanwhile."""
    plan = PartPlan.of(upload)
    held = read_parts(bucket.bucket_name, key, upload.upload_id)
    lists = read_lists(bucket.bucket_name, incident.incident_id, upload.upload_id, plan)
    lines: list[Line] = []
    held_numbers: list[int] = []
    for batch, digests in lists.items():
        right = {n for n in digests if is_part_right(held.get(n, {}), length=plan.length_of(n), digest=digests[n])}
        held_numbers += right
        if lines or len(right) == len(digests):
            continue
        if incident.stalled_rounds == REHASH_AFTER_STALLED_ROUNDS:
            lines.append(signer.description(plan, batch, upload_id=upload.upload_id))
        else:
            missing = {number: digest for number, digest in digests.items() if number not in right}
            lines = list(signer.parts(plan, missing, upload_id=upload.upload_id))
    # The instance hashes one batch per round.
    if len(lists) < plan.batches and all(line.kind != "describe" for line in lines):
        lines.append(signer.description(plan, len(lists), upload_id=upload.upload_id))
    logger.info(
        *("%d of %d parts are in S3, %d of %d batches hashed", len(held_numbers), plan.parts),
        *(len(lists), plan.batches),
    )
    return lines, {
        "heldParts": len(held_numbers),
        "heldBytes": sum(plan.length_of(number) for number in held_numbers),
        "describedBatches": len(lists),
    }


def _holds_dmesg(bucket: str, key: str, dmesg: Dmesg) -> bool:
    try:
        head = clients.s3().head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if code(error) in ("404", "NoSuchKey", "NotFound"):
            return False
        raise
    return head.get("ChecksumSHA256") == dmesg.digest
