"""How much of a vmcore S3 holds, how fast it grows, and how long the rest will take."""

from typing import Any

from botocore.exceptions import ClientError

from lambdas.runtime.bucket import code
from lambdas.runtime.environment import VmcoreBucketName
from lambdas.runtime.observability import logger
from lambdas.upload.found import read_parts

MIB = 1024**2


def progress(*, size_bytes: int, held_bytes: int, before_bytes: int, seconds: int) -> dict[str, float | int | None]:
    """Percent of the whole; MiB/s since the round was planned; seconds left at that speed, None while it is unknown."""
    speed = (held_bytes - before_bytes) / seconds if seconds > 0 else 0.0
    return {
        "percent": 100 * held_bytes // size_bytes,
        "heldBytes": held_bytes,
        "mibPerSecond": round(speed / MIB, 1),
        "secondsLeft": round((size_bytes - held_bytes) / speed) if speed > 0 else None,
    }


def held_bytes(upload: dict[str, Any]) -> int | None:
    """None when S3 does not say: the look at the command is worth more than the figure."""
    try:
        held = read_parts(VmcoreBucketName.read().bucket_name, upload["keys"]["vmcore"], upload["uploadId"])
    except ClientError as error:
        logger.warning("ListParts failed: %s", code(error))
        return None
    return sum(int(part["Size"]) for part in held.values())
