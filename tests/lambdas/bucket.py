"""The vmcore bucket, as far as the handlers use S3: it checks digests and lists them, which moto does not.

Owns S3's side of uploads, completion, versions and checksums. Tests change its contents to make it lie.
"""

import base64
import hashlib
import io
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.exceptions import ClientError
from botocore.response import StreamingBody


def digest_of(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@dataclass
class Part:
    """One uploaded part."""

    data: bytes
    digest: str


@dataclass
class Upload:
    """A multipart upload under way."""

    key: str
    parameters: dict[str, Any]
    initiated_at: datetime = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass
class Stored:
    """One object version."""

    data: bytes
    digest: str
    parameters: dict[str, Any]
    version: str


@dataclass
class Bucket:
    """Operations are named as in the API, so that calls find them."""

    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    deleted_versions: list[str] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def send(self, url: str, data: bytes, *, digest: str | None = None) -> None:
        """What curl does with a presigned URL: the digest goes in the signed header, and S3 compares."""
        split = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        assert query["X-Amz-SignedHeaders"] == ("host;x-amz-checksum-sha256" if digest else "host")
        digest = digest or digest_of(data)
        assert digest == digest_of(data), "S3 answers 400 BadDigest"
        # Virtual-hosted, or path style below the bucket, which has the name of its own first prefix.
        key = split.path.lstrip("/")
        if not (split.hostname or "").startswith("vmcores."):
            key = key.removeprefix("vmcores/")
        if "uploadId" in query:
            self.uploads[query["uploadId"]].parts[int(query["partNumber"])] = Part(data, digest)
        else:
            self._store(key, data, digest, {})

    def _store(self, key: str, data: bytes, digest: str, parameters: dict[str, Any]) -> Stored:
        self.objects[key] = Stored(data, digest, parameters, f"version-{next(self.numbers)}")
        return self.objects[key]

    def CreateMultipartUpload(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the operation
        upload_id = f"upload-{next(self.numbers)}"
        self.uploads[upload_id] = Upload(parameters["Key"], parameters)
        return {"UploadId": upload_id}

    def ListParts(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        parts = self._upload(parameters, "ListParts").parts
        after = parameters.get("PartNumberMarker", 0)
        # S3 gives 1,000 at a time; 2 make the tests see pages.
        page = [number for number in sorted(parts) if number > after][:2]
        listed = [
            {
                "PartNumber": number,
                "Size": len(parts[number].data),
                "ChecksumSHA256": parts[number].digest,
                "ETag": f'"{number}"',
            }
            for number in page
        ]
        is_truncated = bool(page) and page[-1] != max(parts)
        more = {"NextPartNumberMarker": page[-1]} if is_truncated else {}
        return {"Parts": listed, "IsTruncated": is_truncated, **more}

    def ListMultipartUploads(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the operation
        # S3 gives 1,000 at a time; 1 makes the tests see pages.
        ids = sorted(each for each, upload in self.uploads.items() if upload.key.startswith(parameters["Prefix"]))
        ids = [each for each in ids if each > parameters.get("UploadIdMarker", "")]
        listed = [
            {"Key": self.uploads[each].key, "UploadId": each, "Initiated": self.uploads[each].initiated_at}
            for each in ids[:1]
        ]
        more = {"NextKeyMarker": listed[0]["Key"], "NextUploadIdMarker": ids[0]} if len(ids) > 1 else {}
        return {"Uploads": listed, "IsTruncated": len(ids) > 1, **more}

    def CompleteMultipartUpload(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        upload = self._upload(parameters, "CompleteMultipartUpload")
        named = [part["PartNumber"] for part in parameters["MultipartUpload"]["Parts"]]
        data = b"".join(upload.parts[number].data for number in named)
        if len(data) != parameters["MpuObjectSize"]:
            raise refusal("InvalidRequest", "CompleteMultipartUpload")
        raw = b"".join(base64.b64decode(upload.parts[number].digest) for number in named)
        stored = self._store(upload.key, data, f"{digest_of(raw)}-{len(named)}", upload.parameters)
        del self.uploads[parameters["UploadId"]]
        return {"VersionId": stored.version}

    def AbortMultipartUpload(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._upload(parameters, "AbortMultipartUpload")
        del self.uploads[parameters["UploadId"]]
        return {}

    def ListObjectsV2(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        keys = sorted(key for key in self.objects if key.startswith(parameters["Prefix"]))
        return {
            "Contents": [
                {"Key": key, "Size": len(self.objects[key].data)} for key in keys[: parameters.get("MaxKeys", 1000)]
            ]
        }

    def HeadObject(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stored = self.objects.get(parameters["Key"])
        if stored is None:
            raise refusal("404", "HeadObject")
        checksum = {"ChecksumSHA256": stored.digest} if parameters.get("ChecksumMode") == "ENABLED" else {}
        return {"ContentLength": len(stored.data), "VersionId": stored.version, **checksum}

    def GetObject(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stored = self.objects.get(parameters["Key"])
        if stored is None:
            raise refusal("NoSuchKey", "GetObject")
        data = stored.data
        # "bytes=0-99", or "bytes=-100": the last ones.
        if "Range" in parameters:
            first, last = parameters["Range"].removeprefix("bytes=").split("-")
            data = data[int(first) : int(last) + 1] if first else data[-int(last) :]
        return {"Body": StreamingBody(io.BytesIO(data), len(data))}

    def PutObject(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        data: bytes = parameters["Body"]
        return {"VersionId": self._store(parameters["Key"], data, digest_of(data), parameters).version}

    def DeleteObject(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stored = self.objects.pop(parameters["Key"])
        assert parameters["VersionId"] == stored.version, "without a version only a delete marker is put on top"
        self.deleted_versions.append(stored.version)
        return {}

    def _upload(self, parameters: dict[str, Any], operation: str) -> Upload:
        upload = self.uploads.get(parameters["UploadId"])
        if upload is None:
            raise refusal("NoSuchUpload", operation)
        return upload


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as the test says"}}, operation)
