"""What the server holds: objects, uploads under way and their parts. Bytes are files in a directory, or dropped."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from lab.s3_server.body import Body
from lab.s3_server.errors import S3Error

# Manifests and lists of digests are read again; what is measured in the bench is larger.
KEPT_WHEN_DISCARDING_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Blob:
    """A body that was received; the file is None when its bytes were dropped."""

    size_bytes: int
    checksums: dict[str, str]
    file: Path | None
    # Opaque, as it is for objects encrypted with KMS.
    etag: str = field(default_factory=lambda: f'"{uuid.uuid4().hex}"')
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class StoredObject:
    """One version: the last one put."""

    blobs: tuple[Blob, ...]
    etag: str
    checksums: dict[str, str]
    checksum_type: str
    headers: dict[str, str]
    modified: datetime

    @property
    def size_bytes(self) -> int:
        """Of all its parts."""
        return sum(blob.size_bytes for blob in self.blobs)


@dataclass
class Upload:
    """A multipart upload under way."""

    bucket: str
    key: str
    upload_id: str
    algorithm: str | None
    checksum_type: str
    headers: dict[str, str]
    parts: dict[int, Blob] = field(default_factory=dict)


class Store:
    """Everything by name; `lock` guards what is looked up and then changed."""

    def __init__(self, directory: Path, buckets: tuple[str, ...], *, is_discarding: bool = False) -> None:
        self._directory, self._is_discarding = directory, is_discarding
        self.lock = threading.RLock()
        self.objects: dict[str, dict[str, StoredObject]] = {name: {} for name in buckets}
        self.uploads: dict[str, Upload] = {}

    def objects_of(self, bucket: str) -> dict[str, StoredObject]:
        """By key; raises NoSuchBucket."""
        if bucket not in self.objects:
            raise S3Error("NoSuchBucket", "The specified bucket does not exist")
        return self.objects[bucket]

    def object(self, bucket: str, key: str) -> StoredObject:
        """Raises NoSuchKey."""
        found = self.objects_of(bucket).get(key)
        if found is None:
            raise S3Error("NoSuchKey", "The specified key does not exist.")
        return found

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Raises NoSuchUpload."""
        self.objects_of(bucket)
        found = self.uploads.get(upload_id)
        if found is None or (found.bucket, found.key) != (bucket, key):
            raise S3Error(
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted"
                " or completed.",
            )
        return found

    def put(self, bucket: str, key: str, stored: StoredObject) -> None:
        """Replaces what was there."""
        with self.lock:
            self.remove(bucket, key)
            self.objects_of(bucket)[key] = stored

    def remove(self, bucket: str, key: str) -> None:
        """Nothing happens when it is not there."""
        with self.lock:
            old = self.objects_of(bucket).pop(key, None)
        for blob in old.blobs if old else ():
            forget(blob)

    @contextmanager
    def receiving(self, body: Body) -> Iterator["Sink"]:
        """Where a body goes; what was not accepted leaves nothing behind."""
        sink = Sink(
            None
            if self._is_discarding and body.length > KEPT_WHEN_DISCARDING_BYTES
            else self._directory / uuid.uuid4().hex
        )
        try:
            yield sink
        except BaseException:
            sink.drop()
            raise
        finally:
            sink.close()


class Sink:
    """Takes the pieces of a body."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file = path.open("wb", buffering=0) if path else None

    def write(self, piece: memoryview) -> None:
        """Into the file, if there is one."""
        if self._file is not None:
            self._file.write(piece)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def drop(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def forget(blob: Blob) -> None:
    """Its bytes are no longer needed."""
    if blob.file is not None:
        blob.file.unlink(missing_ok=True)
