"""Signs the URLs for an instance, with a session that is limited to one incident.

Each URL reaches one key. A part's URL reaches one part with one content, because its digest is signed. URLs are never
logged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lambdas.incident.object_keys import DIGESTS, MANIFESTS
from lambdas.incident.record import Incident
from lambdas.incident.table import IncidentTable
from lambdas.instance.document_models import Dmesg
from lambdas.runtime.bucket import signing_client, write
from lambdas.runtime.environment import UploaderRole, VmcoreBucket
from lambdas.upload.digest_lists import key_of
from lambdas.upload.part_plan import PartPlan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Line:
    """`kind` dmesg | part | describe (hash a batch); the dmesg has number 0.

    The fifth field is the digest of the data to send, or for `describe` the size of the batch's parts.
    """

    kind: str
    number: int
    offset: int
    length: int
    digest_or_part_bytes: str
    url: str

    def as_tsv(self) -> str:
        """The line that upload_vmcore reads."""
        return "\t".join(
            map(str, (self.kind, self.number, self.offset, self.length, self.digest_or_part_bytes, self.url))
        )


def write_manifest(
    incident: Incident, lines: list[Line], *, signer: "Signer", bucket: VmcoreBucket, records: IncidentTable
) -> str:
    """Writes a new object each time, because a document may still read an older one. Returns the URL to read it."""
    number = incident.manifest_count + 1
    key = f"{MANIFESTS}{incident.incident_id}/{number}.tsv"
    write(bucket, key, "".join(f"{line.as_tsv()}\n" for line in lines), content_type="text/tab-separated-values")
    records.update(incident.incident_id, {"manifestCount": number})
    return signer.manifest(key)


# Less than the session, which is some seconds old when the last URL is signed.
URL_SECONDS = 3500
MANIFEST_SECONDS = 900


class Signer:
    """Signs for one incident, with the S3 endpoint that the instances use."""

    def __init__(self, bucket: VmcoreBucket, incident_id: str, *, names: Mapping[str, str]) -> None:
        self._bucket = bucket
        self._incident_id = incident_id
        self._names = names
        self._made: S3Client | None = None

    @property
    def _client(self) -> "S3Client":
        """Created at the first URL, with a session of its own."""
        if self._made is None:
            self._made = signing_client(
                self._bucket,
                UploaderRole.read().uploader_role_arn,
                session=self._incident_id,
                statements=session_statements(self._bucket, self._incident_id, names=self._names),
            )
        return self._made

    def dmesg(self, dmesg: Dmesg) -> Line:
        """Signs no encryption header: the instance would have to send it, and the bucket encrypts by default."""
        params = {"Bucket": self._bucket.bucket_name, "Key": self._names["dmesg"], "ChecksumSHA256": dmesg.digest}
        url = self._client.generate_presigned_url("put_object", Params=params, ExpiresIn=URL_SECONDS)
        return Line("dmesg", 0, 0, dmesg.size_bytes, dmesg.digest, url)

    def parts(self, plan: PartPlan, digests: Mapping[int, str], *, upload_id: str) -> Iterator[Line]:
        """One line for each part in `digests`."""
        for number, digest in digests.items():
            params = {
                "Bucket": self._bucket.bucket_name,
                "Key": self._names["vmcore"],
                "UploadId": upload_id,
                "PartNumber": number,
                "ChecksumSHA256": digest,
            }
            url = self._client.generate_presigned_url("upload_part", Params=params, ExpiresIn=URL_SECONDS)
            yield Line("part", number, plan.offset_of(number), plan.length_of(number), digest, url)

    def description(self, plan: PartPlan, batch: int, *, upload_id: str) -> Line:
        """The line that asks the instance to hash a batch."""
        numbers = plan.batch(batch)
        key = key_of(self._incident_id, upload_id, batch)
        params = {"Bucket": self._bucket.bucket_name, "Key": key}
        url = self._client.generate_presigned_url("put_object", Params=params, ExpiresIn=URL_SECONDS)
        length = plan.offset_of(numbers[-1]) + plan.length_of(numbers[-1]) - plan.offset_of(numbers[0])
        return Line("describe", numbers[0], plan.offset_of(numbers[0]), length, str(plan.part_bytes), url)

    def manifest(self, key: str) -> str:
        """The URL of the manifest."""
        params = {"Bucket": self._bucket.bucket_name, "Key": key}
        return self._client.generate_presigned_url("get_object", Params=params, ExpiresIn=MANIFEST_SECONDS)


def session_statements(bucket: VmcoreBucket, incident_id: str, *, names: Mapping[str, str]) -> list[dict[str, object]]:
    """What a leaked session could do: write this incident's objects and read its manifests. Nothing else."""
    objects = f"{bucket.bucket_arn}/"
    written = [f"{objects}{names['vmcore']}", f"{objects}{names['dmesg']}", f"{objects}{DIGESTS}{incident_id}/*"]
    return [
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": written},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{objects}{MANIFESTS}{incident_id}/*"},
        # Decrypt: S3 asks for it on every part of a multipart upload.
        {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": bucket.key_arn},
    ]
