"""Signs the URLs that an instance may send to, and writes the manifest that lists them.

Each URL reaches one key, one part, and (its digest is signed) one content. URLs are never logged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lambdas import clients
from lambdas.vmcore_upload import Dmesg, Vmcore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A URL also dies with the session that signed it, and a Lambda role's session can be near its end: well below the hours
# that such a session lasts.
URL_SECONDS = 3600
MANIFEST_SECONDS = 900
# What an instance can be trusted to send before the URLs die: 64 GiB in an hour are 18 MiB/s.
BATCH_BYTES = 64 * 1024**3


@dataclass(frozen=True)
class Line:
    """One thing to send; the dmesg has part number 0."""

    kind: str
    part_number: int
    offset: int
    length: int
    digest: str
    url: str

    def as_tsv(self) -> str:
        """As upload_vmcore reads it."""
        return f"{self.kind}\t{self.part_number}\t{self.offset}\t{self.length}\t{self.digest}\t{self.url}\n"


class Signer:
    """Signs for one bucket, towards S3 as the instances see it."""

    def __init__(self, bucket: str, *, endpoint_url: str) -> None:
        self._bucket = bucket
        self._client: S3Client = clients.s3_for_presigning(endpoint_url)

    def dmesg(self, key: str, dmesg: Dmesg) -> Line:
        """No encryption header is signed: the instance would have to send it, and the bucket encrypts by default."""
        url = self._client.generate_presigned_url(
            "put_object",
            Params={"Bucket": self._bucket, "Key": key, "ChecksumSHA256": dmesg.digest},
            ExpiresIn=URL_SECONDS,
        )
        return Line("dmesg", 0, 0, dmesg.size_bytes, dmesg.digest, url)

    def parts(self, key: str, vmcore: Vmcore, *, upload_id: str, missing: Sequence[int]) -> Iterable[Line]:
        """As many of the missing parts as can be sent in time, at least one."""
        planned = 0
        for part_number in missing:
            length = vmcore.length_of(part_number)
            if planned and planned + length > BATCH_BYTES:
                return
            planned += length
            digest = vmcore.part_digests[part_number - 1]
            url = self._client.generate_presigned_url(
                "upload_part",
                Params={
                    "Bucket": self._bucket,
                    "Key": key,
                    "UploadId": upload_id,
                    "PartNumber": part_number,
                    "ChecksumSHA256": digest,
                },
                ExpiresIn=URL_SECONDS,
            )
            yield Line("part", part_number, vmcore.offset_of(part_number), length, digest, url)

    def manifest(self, key: str) -> str:
        """The URL at which the instance reads its manifest."""
        return self._client.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=MANIFEST_SECONDS
        )
