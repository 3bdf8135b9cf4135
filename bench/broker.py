"""Plans one multipart upload in rounds, like the workflow's functions: hash, send, complete.

Stands in for `lambdas/plan_upload` and `lambdas/verify_vmcore` where no table of incidents is wanted; the cut into
parts and batches is theirs. A manifest asks for parts that were described and are missing, and at the same time for
the description of the next batch.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from analysis.command_line import UserError
from lambdas.upload.part_plan import PartPlan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

URL_SECONDS = 3600


class NotIdentical(UserError):
    """The object differs from the hashed file; it was removed from the bucket."""


@dataclass
class Broker:
    """The upload of one dump to one key. `digests` come only from the instance's lists."""

    s3: "S3Client"
    bucket: str
    key: str
    plan: PartPlan
    digests: dict[int, str] = field(default_factory=dict)
    manifests: int = 0

    def __post_init__(self) -> None:
        self.upload_id = self.s3.create_multipart_upload(
            Bucket=self.bucket, Key=self.key, ChecksumAlgorithm="SHA256", ChecksumType="COMPOSITE"
        )["UploadId"]
        # Remove the digest lists of an earlier upload of this key, so that each run hashes the whole file.
        self._descriptions = f"{self.key}.descriptions/{hashlib.sha256(self.upload_id.encode()).hexdigest()[:16]}/"

    # --- planning

    def next_manifest(self) -> str | None:
        """The URL of the next round's manifest; None when the bucket holds every part."""
        self._read_descriptions()
        missing = sorted(set(range(1, self.plan.parts + 1)) - self._held().keys())
        if not missing:
            return None
        lines = [self._part_line(number) for number in missing if number in self.digests]
        undescribed = [number for number in missing if number not in self.digests]
        if undescribed:
            batch = (undescribed[0] - 1) // self.plan.parts_per_batch
            lines.append(self._describe_line(self.plan.batch(batch)))
        self.manifests += 1
        key = f"{self.key}.manifests/{self.manifests}.tsv"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body="".join(lines).encode())
        return self._signed("get_object", Key=key)

    def _part_line(self, number: int) -> str:
        digest = self.digests[number]
        url = self._signed(
            "upload_part", Key=self.key, UploadId=self.upload_id, PartNumber=number, ChecksumSHA256=digest
        )
        offset = self.plan.offset_of(number)
        return f"part\t{number}\t{offset}\t{self.plan.length_of(number)}\t{digest}\t{url}\n"

    def _describe_line(self, batch: range) -> str:
        offset = self.plan.offset_of(batch[0])
        length = sum(self.plan.length_of(number) for number in batch)
        url = self._signed("put_object", Key=f"{self._descriptions}{batch[0]}.tsv")
        return f"describe\t{batch[0]}\t{offset}\t{length}\t{self.plan.part_bytes}\t{url}\n"

    def _signed(self, operation: str, **parameters: Any) -> str:
        return self.s3.generate_presigned_url(
            operation, Params={"Bucket": self.bucket, **parameters}, ExpiresIn=URL_SECONDS
        )

    def _read_descriptions(self) -> None:
        prefix = self._descriptions
        for item in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", []):
            body = self.s3.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read().decode("latin-1")
            # 7	67108864	n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=
            for number, length, digest in re.findall(r"^(\d+)\t(\d+)\t([A-Za-z0-9+/]{43}=)$", body, re.MULTILINE):
                if int(number) <= self.plan.parts and int(length) == self.plan.length_of(int(number)):
                    self.digests[int(number)] = digest

    def _held(self) -> dict[int, dict[str, Any]]:
        pages = self.s3.get_paginator("list_parts").paginate(Bucket=self.bucket, Key=self.key, UploadId=self.upload_id)
        return {part["PartNumber"]: dict(part) for page in pages for part in page.get("Parts", [])}

    def forget_descriptions(self) -> None:
        """Drops the lists of parts that S3 refused: a list may have been damaged on its way."""
        held = self._held()
        self.digests = {number: digest for number, digest in self.digests.items() if number in held}
        prefix = self._descriptions
        for item in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", []):
            self.s3.delete_object(Bucket=self.bucket, Key=item["Key"])

    # --- completing

    def complete(self) -> None:
        """Raises NotIdentical, or ClientError when S3 refuses."""
        held = self._held()
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": held[number]["ETag"], "ChecksumSHA256": self.digests[number]}
            for number in range(1, self.plan.parts + 1)
        ]
        try:
            self.s3.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self.key,
                UploadId=self.upload_id,
                MpuObjectSize=self.plan.size_bytes,
                MultipartUpload={"Parts": parts},
            )
        except ClientError as error:
            # botocore retried a request whose answer was lost: check the object.
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
        head = self.s3.head_object(Bucket=self.bucket, Key=self.key, ChecksumMode="ENABLED")
        if (head["ContentLength"], head.get("ChecksumSHA256")) != (self.plan.size_bytes, self._composite()):
            self.s3.delete_object(Bucket=self.bucket, Key=self.key)
            raise NotIdentical(self.key)

    def _composite(self) -> str:
        raw = b"".join(base64.b64decode(self.digests[number]) for number in range(1, self.plan.parts + 1))
        return f"{base64.b64encode(hashlib.sha256(raw).digest()).decode()}-{self.plan.parts}"
