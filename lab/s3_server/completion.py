"""May this multipart upload be completed? Pure; raises the error of the first thing that does not fit."""

from collections.abc import Sequence
from xml.etree import ElementTree

from lab.s3_server import checksums
from lab.s3_server.errors import S3Error
from lab.s3_server.request import Request
from lab.s3_server.store import Blob, Upload


def checked_parts(upload: Upload, document: bytes, *, smallest_bytes: int) -> list[int]:
    """The numbers of the parts listed, each of which is there as described."""
    listed = _listed(document)
    numbers = [number for number, _ in listed]
    if numbers != sorted(set(numbers)):
        raise S3Error("InvalidPartOrder", "The list of parts was not in ascending order.")
    for number, claims in listed:
        _check_part(upload, number, claims)
    for number in numbers[:-1]:
        if upload.parts[number].size_bytes < smallest_bytes:
            raise S3Error("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
    return numbers


def _listed(document: bytes) -> list[tuple[int, dict[str, str]]]:
    malformed = S3Error("MalformedXML", "The XML you provided was not well-formed or did not validate.")
    try:
        # Tags carry S3's namespace, or none: {http://s3.amazonaws.com/doc/2006-03-01/}Part
        parts = [
            {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in part}
            for part in ElementTree.fromstring(document)  # noqa: S314 - sent by our own clients
        ]
        listed = [(int(part.pop("PartNumber")), part) for part in parts]
    except (ElementTree.ParseError, KeyError, ValueError):
        raise malformed from None
    if not listed:
        raise malformed
    return listed


def _check_part(upload: Upload, number: int, claims: dict[str, str]) -> None:
    blob = upload.parts.get(number)
    given = {name[8:].lower(): value for name, value in claims.items() if name.startswith("Checksum")}
    if (
        blob is None
        or claims.get("ETag", "").strip('"') != blob.etag.strip('"')
        or any(blob.checksums.get(algorithm) != value for algorithm, value in given.items())
    ):
        raise S3Error(
            "InvalidPart",
            "One or more of the specified parts could not be found. The part may not have been uploaded, or the"
            " specified entity tag may not match the part's entity tag.",
        )
    # S3 asks for it where the whole is computed from what the client listed.
    if upload.algorithm is not None and upload.checksum_type == "COMPOSITE" and upload.algorithm not in given:
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using a {upload.algorithm} checksum. The complete request must include the"
            f" checksum for each part. It was missing for part {number} in the request.",
        )


def whole_checksums(upload: Upload, blobs: Sequence[Blob], request: Request) -> dict[str, str]:
    """Of the object to be; raises when its size or checksum is not the one asked for."""
    size_bytes = sum(blob.size_bytes for blob in blobs)
    asked = request.claim("x-amz-mp-object-size")
    if asked is not None and asked != str(size_bytes):
        raise S3Error(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {asked} does not match what was computed: {size_bytes}",
        )
    algorithm = upload.algorithm
    if algorithm is None:
        return {}
    values = [blob.checksums[algorithm] for blob in blobs]
    if upload.checksum_type == "COMPOSITE":
        whole = checksums.composite(algorithm, values)
    else:
        whole = checksums.combined(
            algorithm, [(value, blob.size_bytes) for value, blob in zip(values, blobs, strict=True)]
        )
    claimed = request.claim(checksums.PREFIX + algorithm)
    if claimed is not None and claimed not in (whole, whole.partition("-")[0]):
        raise S3Error("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")
    return {algorithm: whole}
