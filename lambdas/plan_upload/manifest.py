"""The manifest of one round: what the instance is to send or to describe, each with its presigned URL.

URLs are secrets: they are in this object, which is short-lived, and nowhere else.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lambdas.incident.record import Incident
from lambdas.incident.table import IncidentTable
from lambdas.runtime import clients
from lambdas.runtime.environment import VmcoreBucket

if TYPE_CHECKING:
    from lambdas.plan_upload.presign import Signer


@dataclass(frozen=True)
class Line:
    """`kind` dmesg | part | describe; the dmesg has number 0.

    The fifth field is the digest of what is sent, or, when a batch is to be described, how large its parts are.
    """

    kind: str
    number: int
    offset: int
    length: int
    digest_or_part_bytes: str
    url: str

    def as_tsv(self) -> str:
        """As upload_vmcore reads it."""
        return "\t".join(
            map(str, (self.kind, self.number, self.offset, self.length, self.digest_or_part_bytes, self.url))
        )


def write_manifest(
    incident: Incident, lines: list[Line], *, signer: "Signer", bucket: VmcoreBucket, records: IncidentTable
) -> str:
    """The URL to read it; a new object each time, so that a document which still reads an older one is not confused."""
    number = incident.manifest_count + 1
    key = f"manifests/{incident.incident_id}/{number}.tsv"
    clients.s3().put_object(
        Bucket=bucket.bucket_name,
        Key=key,
        Body="".join(f"{line.as_tsv()}\n" for line in lines).encode(),
        ContentType="text/tab-separated-values",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=bucket.key_arn,
    )
    records.update(incident.incident_id, {"manifestCount": number})
    return signer.manifest(key)
