"""Operations on whole objects and on the bucket."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime

from lab.s3_server import checksums
from lab.s3_server.errors import S3Error
from lab.s3_server.incoming import Incoming
from lab.s3_server.reply import Reply, xml
from lab.s3_server.request import Request
from lab.s3_server.store import Blob, Store, StoredObject

_KEPT_HEADERS = ("content-type", "content-encoding", "x-amz-server-side-encryption")


def kept_headers(request: Request) -> dict[str, str]:
    """What S3 gives back with the object; aws-chunked is an encoding of the transfer, not of the object."""
    kept = {name: value for name, value in request.headers if name.startswith((*_KEPT_HEADERS, "x-amz-meta-"))}
    if kept.get("content-encoding") == "aws-chunked":
        del kept["content-encoding"]
    return kept


def checksum_headers(values: dict[str, str]) -> dict[str, str]:
    """One x-amz-checksum-* each."""
    return {checksums.PREFIX + algorithm: value for algorithm, value in values.items()}


def put_object(store: Store, incoming: Incoming) -> Reply:
    request = incoming.request
    store.objects_of(request.bucket)
    blob = receive(store, incoming)
    stored = StoredObject(
        (blob,), blob.etag, blob.checksums, "FULL_OBJECT", kept_headers(request), modified=blob.modified
    )
    store.put(request.bucket, request.key, stored)
    return Reply(headers={"ETag": blob.etag, **checksum_headers(blob.checksums)})


def receive(store: Store, incoming: Incoming) -> Blob:
    """The body, accepted; raises S3Error when a claim about it does not hold."""
    with store.receiving(incoming.body) as sink:
        received = incoming.receive(sink.write)
        return Blob(received.size_bytes, received.checksums, sink.path)


def head_object(store: Store, incoming: Incoming) -> Reply:
    """The length is that of the object although no byte of it is sent: Content-Length is overridden."""
    stored = store.object(incoming.request.bucket, incoming.request.key)
    return Reply(headers={**_headers_of(stored, incoming.request), "Content-Length": str(stored.size_bytes)})


def get_object(store: Store, incoming: Incoming) -> Reply:
    request = incoming.request
    stored = store.object(request.bucket, request.key)
    if any(blob.file is None for blob in stored.blobs):
        raise S3Error("NotImplemented", "The bytes of this object were dropped: the server runs with --discard.")
    headers = _headers_of(stored, request)
    wanted = request.header("range")
    if wanted is None:
        return Reply(headers=headers, content=_slices(stored, 0, stored.size_bytes))
    begin, end = _range(wanted, stored.size_bytes)
    headers["Content-Range"] = f"bytes {begin}-{end - 1}/{stored.size_bytes}"
    return Reply(206, headers, content=_slices(stored, begin, end))


def _headers_of(stored: StoredObject, request: Request) -> dict[str, str]:
    headers = {
        **stored.headers,
        "ETag": stored.etag,
        "Last-Modified": format_datetime(stored.modified.astimezone(UTC), usegmt=True),
        "Accept-Ranges": "bytes",
    }
    if (request.claim("x-amz-checksum-mode") or "").upper() == "ENABLED" and stored.checksums:
        headers |= {**checksum_headers(stored.checksums), "x-amz-checksum-type": stored.checksum_type}
    return headers


def _range(wanted: str, size_bytes: int) -> tuple[int, int]:
    # bytes=0-99  bytes=100-  bytes=-5
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
    if match is None or not any(match.groups()):
        raise S3Error("InvalidArgument", f"Range {wanted} is not understood.")
    first, last = match.groups()
    begin = int(first) if first else max(0, size_bytes - int(last))
    end = min(size_bytes, int(last) + 1) if first and last else size_bytes
    if begin >= end:
        raise S3Error("InvalidRange", "The requested range is not satisfiable")
    return begin, end


def _slices(stored: StoredObject, begin: int, end: int) -> tuple[tuple[Blob, int, int], ...]:
    found, offset = [], 0
    for blob in stored.blobs:
        first, last = max(begin - offset, 0), min(end - offset, blob.size_bytes)
        if first < last:
            found.append((blob, first, last))
        offset += blob.size_bytes
    return tuple(found)


def delete_object(store: Store, incoming: Incoming) -> Reply:
    store.remove(incoming.request.bucket, incoming.request.key)
    return Reply(204)


def head_bucket(store: Store, incoming: Incoming) -> Reply:
    store.objects_of(incoming.request.bucket)
    return Reply()


def list_objects(store: Store, incoming: Incoming) -> Reply:
    """Without delimiters."""
    request = incoming.request
    given = request.parameters
    if given.get("list-type") != "2" or given.get("delimiter"):
        raise S3Error("NotImplemented", "Only ListObjectsV2 without a delimiter.")
    prefix, most = given.get("prefix", ""), request.number("max-keys", 1000)
    after = max(given.get("start-after", ""), given.get("continuation-token", ""))
    with store.lock:
        held = dict(store.objects_of(request.bucket))
    keys = sorted(key for key in held if key.startswith(prefix) and key > after)
    page = keys[:most]
    fields: list[tuple[str, object]] = [
        ("Name", request.bucket),
        ("Prefix", prefix),
        ("KeyCount", len(page)),
        ("MaxKeys", most),
        ("IsTruncated", len(keys) > len(page)),
    ]
    if page and len(keys) > len(page):
        fields.append(("NextContinuationToken", page[-1]))
    fields += [("Contents", _listed(key, held[key])) for key in page]
    return xml("ListBucketResult", fields)


def _listed(key: str, stored: StoredObject) -> list[tuple[str, object]]:
    modified: datetime = stored.modified
    return [
        ("Key", key),
        ("LastModified", modified),
        ("ETag", stored.etag),
        ("Size", stored.size_bytes),
        ("StorageClass", "STANDARD"),
    ]
