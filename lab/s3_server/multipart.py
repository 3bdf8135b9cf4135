"""Multipart uploads: created, filled part by part, listed, completed only when everything fits, aborted."""

import uuid
from datetime import UTC, datetime

from lab.s3_server import checksums
from lab.s3_server.completion import checked_parts, whole_checksums
from lab.s3_server.errors import S3Error
from lab.s3_server.incoming import Incoming
from lab.s3_server.objects import checksum_headers, kept_headers, receive
from lab.s3_server.reply import Reply, xml
from lab.s3_server.store import Store, StoredObject, Upload, forget

MAX_PARTS = 10_000


def create(store: Store, incoming: Incoming) -> Reply:
    request = incoming.request
    store.objects_of(request.bucket)
    algorithm = (request.claim("x-amz-checksum-algorithm") or "").lower() or None
    if algorithm is not None and algorithm not in checksums.ALGORITHMS:
        raise S3Error("InvalidRequest", "Checksum algorithm provided is unsupported.")
    default = "FULL_OBJECT" if algorithm in (None, "crc64nvme") else "COMPOSITE"
    checksum_type = request.claim("x-amz-checksum-type") or default
    if checksum_type == "FULL_OBJECT" and algorithm in ("sha256", "sha1"):
        raise S3Error(
            "InvalidRequest", f"The FULL_OBJECT checksum type cannot be used with the {algorithm} checksum algorithm."
        )
    upload = Upload(
        request.bucket, request.key, uuid.uuid4().hex, algorithm, checksum_type, headers=kept_headers(request)
    )
    with store.lock:
        store.uploads[upload.upload_id] = upload
    headers = {}
    if algorithm is not None:
        headers = {"x-amz-checksum-algorithm": algorithm.upper(), "x-amz-checksum-type": checksum_type}
    fields = [("Bucket", request.bucket), ("Key", request.key), ("UploadId", upload.upload_id)]
    return xml("InitiateMultipartUploadResult", fields, headers=headers)


def _upload_of(store: Store, incoming: Incoming) -> Upload:
    request = incoming.request
    return store.upload(request.bucket, request.key, request.parameters.get("uploadId", ""))


def upload_part(store: Store, incoming: Incoming) -> Reply:
    upload = _upload_of(store, incoming)
    number = incoming.request.number("partNumber", 0)
    if not 1 <= number <= MAX_PARTS:
        raise S3Error("InvalidArgument", f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive")
    blob = receive(store, incoming)
    if upload.algorithm is not None and upload.algorithm not in blob.checksums:
        forget(blob)
        given = next(iter(blob.checksums), "null")
        raise S3Error(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm}, actual checksum Type:"
            f" {given}",
        )
    with store.lock:
        try:
            # Completed or aborted while the part was on its way.
            _upload_of(store, incoming)
        except S3Error:
            forget(blob)
            raise
        if (old := upload.parts.get(number)) is not None:
            forget(old)
        upload.parts[number] = blob
    return Reply(headers={"ETag": blob.etag, **checksum_headers(blob.checksums)})


def list_parts(store: Store, incoming: Incoming) -> Reply:
    upload, request = _upload_of(store, incoming), incoming.request
    marker, most = request.number("part-number-marker", 0), min(request.number("max-parts", 1000), 1000)
    with store.lock:
        held = sorted((number, blob) for number, blob in upload.parts.items() if number > marker)
    page = held[:most]
    fields: list[tuple[str, object]] = [
        ("Bucket", upload.bucket),
        ("Key", upload.key),
        ("UploadId", upload.upload_id),
        ("PartNumberMarker", marker),
        ("NextPartNumberMarker", page[-1][0] if page else 0),
        ("MaxParts", most),
        ("IsTruncated", len(held) > len(page)),
    ]
    if upload.algorithm is not None:
        fields += [("ChecksumAlgorithm", upload.algorithm.upper()), ("ChecksumType", upload.checksum_type)]
    for number, blob in page:
        part: list[tuple[str, object]] = [
            ("PartNumber", number),
            ("LastModified", blob.modified),
            ("ETag", blob.etag),
            ("Size", blob.size_bytes),
        ]
        part += [(f"Checksum{algorithm.upper()}", value) for algorithm, value in blob.checksums.items()]
        fields.append(("Part", part))
    return xml("ListPartsResult", fields)


def complete(store: Store, incoming: Incoming) -> Reply:
    """The object exists from here on, whole, or the upload stays as it was."""
    document = bytearray()
    incoming.receive(document.extend)
    request = incoming.request
    with store.lock:
        upload = _upload_of(store, incoming)
        chosen = checked_parts(upload, bytes(document), smallest_bytes=incoming.smallest_part_bytes)
        blobs = tuple(upload.parts[number] for number in chosen)
        whole = whole_checksums(upload, blobs, request)
        etag = f'"{uuid.uuid4().hex}-{len(blobs)}"'
        stored = StoredObject(blobs, etag, whole, upload.checksum_type, upload.headers, modified=datetime.now(UTC))
        store.put(upload.bucket, upload.key, stored)
        del store.uploads[upload.upload_id]
        for number in upload.parts.keys() - set(chosen):
            forget(upload.parts[number])
    fields: list[tuple[str, object]] = [
        ("Location", f"/{upload.bucket}/{upload.key}"),
        ("Bucket", upload.bucket),
        ("Key", upload.key),
        ("ETag", etag),
    ]
    fields += [(f"Checksum{algorithm.upper()}", value) for algorithm, value in whole.items()]
    if whole:
        fields.append(("ChecksumType", upload.checksum_type))
    return xml("CompleteMultipartUploadResult", fields)


def abort(store: Store, incoming: Incoming) -> Reply:
    with store.lock:
        upload = _upload_of(store, incoming)
        del store.uploads[upload.upload_id]
    for blob in upload.parts.values():
        forget(blob)
    return Reply(204)
