"""The instance's description of its dump, and the parts that S3 holds: planning and verifying an upload use both."""

import base64
import hashlib
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from lambdas.runtime import clients
from lambdas.runtime.errors import InvalidInput
from lambdas.upload.digest_lists import DIGEST

Held = dict[int, dict[str, Any]]


class FromInstance(BaseModel):
    """Base class: camelCase. Ignores keys that a newer document adds."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore")


class Vmcore(FromInstance):
    """The dump's file; modified_epoch and size_bytes show whether it has changed."""

    path: str
    size_bytes: Annotated[int, Field(ge=0)]
    modified_epoch: int = 0


class Dmesg(FromInstance):
    """The kernel's log beside the dump."""

    path: str
    size_bytes: int
    digest: Annotated[str, Field(pattern=f"^{DIGEST}$")]


class Found(FromInstance):
    """The result of `upload_vmcore find`."""

    status: str
    vmcore: Vmcore | None = None
    dmesg: Dmesg | None = None
    memory_bytes: int = 0
    boot_id: str = ""
    booted_at: str = ""
    kernel: str = ""

    @property
    def complete_vmcore(self) -> Vmcore | None:
        """The dump if it is complete; of an incomplete one only the log is sent."""
        return self.vmcore if self.status == "complete" and self.vmcore and self.vmcore.size_bytes else None


def read_found(given: Any) -> Found:
    """Raises InvalidInput if the document printed something else."""
    try:
        return Found.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise InvalidInput(
            f"upload_vmcore find printed an unexpected result: {problems}.", "Deploy the stack again to update it."
        ) from error


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
