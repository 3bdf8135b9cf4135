"""Writes the chain of custody of a vmcore beside it: its origin, and the digest of each part.

With manifest.json anybody can prove that the object is the file that the instance read from its disk.
"""

import json
from dataclasses import dataclass
from typing import Any

from lambdas.incident.record import Incident, Upload
from lambdas.instance.document_models import Found
from lambdas.runtime import clients, moment
from lambdas.upload.digest_lists import Digests
from lambdas.upload.part_plan import PartPlan


@dataclass(frozen=True)
class Verified:
    """The object that is proven to be the vmcore; `digest` is S3's composite digest."""

    key: str
    version_id: str
    size_bytes: int
    digest: str
    digests: Digests


@dataclass(frozen=True)
class UploadOrigin:
    """The origin of the object; `rescue` names the copy and the rescue instance, if there was a rescue."""

    incident: Incident
    upload: Upload
    found: Found
    rescue: dict[str, str] | None = None


def write_custody(verified: Verified, origin: UploadOrigin, *, bucket: str, key: str) -> None:
    """Safe to run again: it writes the same."""
    clients.s3().put_object(
        Bucket=bucket,
        Key=key,
        Body=json.dumps(_custody(verified, origin, bucket=bucket), indent=1).encode(),
        ContentType="application/json",
    )


def _custody(verified: Verified, origin: UploadOrigin, *, bucket: str) -> dict[str, Any]:
    incident, upload, found, plan = origin.incident, origin.upload, origin.found, PartPlan.of(origin.upload)
    return ({"readFrom": origin.rescue} if origin.rescue else {}) | {
        "incidentId": incident.incident_id,
        "instance": {
            "instanceId": incident.instance_id,
            "accountId": incident.account_id,
            "region": incident.region,
            "kernel": found.kernel,
            # The boot that uploaded; the vmcore is of the previous boot.
            "bootId": found.boot_id,
            "bootedAt": found.booted_at,
        },
        "file": {
            "path": upload.vmcore_path,
            "sizeBytes": upload.size_bytes,
            "modifiedAt": moment.iso(moment.at_epoch(upload.modified_epoch)),
        },
        "object": {
            "bucket": bucket,
            "key": verified.key,
            "versionId": verified.version_id,
            "sizeBytes": verified.size_bytes,
            "checksumAlgorithm": "SHA256",
            "checksumType": "COMPOSITE",
            "checksum": verified.digest,
        },
        "uploadedBy": {"execution": incident.execution_arn, "executionName": incident.execution_name},
        "timeline": incident.timeline,
        "verifiedAt": moment.iso(moment.now()),
        "partBytes": plan.part_bytes,
        "parts": [
            {"number": number, "sizeBytes": plan.length_of(number), "sha256": verified.digests[number]}
            for number in sorted(verified.digests)
        ],
    }
