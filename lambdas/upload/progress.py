"""The progress of an upload: percent, speed and time left."""

from typing import Any

from botocore.exceptions import ClientError

from lambdas.runtime.bucket import code
from lambdas.runtime.environment import VmcoreBucketName
from lambdas.runtime.observability import logger
from lambdas.upload.found import read_parts

MIB = 1024**2


def progress(*, size_bytes: int, held_bytes: int, before_bytes: int, seconds: int) -> dict[str, float | int | None]:
    """Percent of the whole, MiB/s since the round was planned, and seconds left at that speed (None: unknown)."""
    speed = (held_bytes - before_bytes) / seconds if seconds > 0 else 0.0
    return {
        "percent": 100 * held_bytes // size_bytes,
        "heldBytes": held_bytes,
        "mibPerSecond": round(speed / MIB, 1),
        "secondsLeft": round((size_bytes - held_bytes) / speed) if speed > 0 else None,
    }


def held_bytes(upload: dict[str, Any]) -> int | None:
    """The bytes that S3 holds, or None on an error: the state of the command matters more than this figure."""
    try:
        held = read_parts(VmcoreBucketName.read().bucket_name, upload["keys"]["vmcore"], upload["uploadId"])
    except ClientError as error:
        logger.warning("ListParts failed: %s", code(error))
        return None
    return sum(int(part["Size"]) for part in held.values())
