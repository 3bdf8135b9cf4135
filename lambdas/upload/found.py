"""The parts of an upload that S3 holds, and what the instance said of its dump: planning and verifying use both."""

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from lambdas.instance.document_models import Found, read_as
from lambdas.runtime import clients

Held = dict[int, dict[str, Any]]


def read_found(given: Any) -> Found:
    """Raises UnexpectedResult if the execution's state holds something else."""
    return read_as(Found, given, source="upload_vmcore find")


def read_parts(bucket: str, key: str, upload_id: str) -> Held:
    """The parts that S3 holds, by number; raises ClientError NoSuchUpload if the upload was completed or aborted."""
    pages = clients.s3().get_paginator("list_parts").paginate(Bucket=bucket, Key=key, UploadId=upload_id)
    return {part["PartNumber"]: dict(part) for page in pages for part in page.get("Parts", [])}


def is_part_right(held: dict[str, Any], *, length: int, digest: str) -> bool:
    """Whether a part has the size and the digest that the instance computed."""
    return held.get("Size") == length and held.get("ChecksumSHA256") == digest


def composite_digest(digests: Iterable[str]) -> str:
    """S3's digest of the whole object: base64(sha256(the parts' raw digests)), a dash, their number."""
    raw = [base64.b64decode(digest, validate=True) for digest in digests]
    return f"{base64.b64encode(hashlib.sha256(b''.join(raw)).digest()).decode()}-{len(raw)}"
