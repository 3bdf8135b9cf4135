"""Dumps as kdump leaves them on the dump volume of a fake root."""

import base64
import hashlib
import os
import random
from pathlib import Path

from tests.ssm_documents.fake_root import FakeRoot

# Before the boot that the fake root is in.
CRASHED_AT = 1795392000
STAMP = "202611230000"
VMCORE = f"/var/crash/{STAMP}/dump.{STAMP}"
# A flattened dump begins with its signature and ends with a header of offset -1 and size -1.
FLATTENED_END = b"\xff" * 16


def digest_of(data: bytes) -> str:
    """Base64 of the SHA-256, as S3 wants it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def flattened(size: int, seed: int = 1) -> bytes:
    """A complete dump of that many bytes, in makedumpfile's flattened format as far as its two ends go."""
    start = b"makedumpfile".ljust(4096, b"\0")
    return start + random.Random(seed).randbytes(size - len(start) - 16) + FLATTENED_END  # noqa: S311


def sles_readme(status: str | None = "saved successfully") -> bytes:
    """README.txt of kdump 2 with that status of the vmcore; None: the one that it writes before the dump."""
    if status is None:
        return b"If you see this text the crash dump is likely incomplete.\n\nDump time: 2026-11-23T00:00:00\n"
    return f"Kernel crashdump\n----------------\ndmesg status: saved successfully\nvmcore status: {status}\n".encode()


def put(root: FakeRoot, path: str, data: bytes, *, modified: int = CRASHED_AT) -> Path:
    """Write a file as of a moment."""
    file = root.path / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    os.utime(file, (modified, modified))
    return file
