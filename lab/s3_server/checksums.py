"""Checksums as S3 takes them: base64 of the bytes, named by the header that carries them."""

import base64
import hashlib
import importlib
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

from lab.s3_server.errors import S3Error

PREFIX = "x-amz-checksum-"
ALGORITHMS = ("sha256", "sha1", "crc32", "crc32c", "crc64nvme")
# Reflected polynomials: RFC 3720 (CRC-32C), and the NVM Express command set (CRC-64/NVME).
_POLYNOMIALS = {"crc32c": (0x82F63B78, 4), "crc64nvme": (0x9A6C9329AC4BC9B5, 8)}


class Checksum(Protocol):
    """What hashlib's objects have."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, step: Callable[[bytes | memoryview, int], int], width_bytes: int) -> None:
        self._step, self._width_bytes, self._value = step, width_bytes, 0

    def update(self, data: bytes | memoryview, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width_bytes, "big")


def new(algorithm: str) -> Checksum:
    """Raises InvalidRequest for an algorithm that S3 does not know."""
    if algorithm in ("sha256", "sha1", "md5"):
        return hashlib.new(algorithm, usedforsecurity=False)
    if algorithm == "crc32":
        return _Crc(zlib.crc32, 4)
    if algorithm in _POLYNOMIALS:
        return _Crc(_native(algorithm) or _slow(algorithm), _POLYNOMIALS[algorithm][1])
    raise S3Error("InvalidRequest", f"Checksum algorithm provided is unsupported: {algorithm}")


def composite(algorithm: str, values: Sequence[str]) -> str:
    """The checksum of a multipart object: that of its parts' checksums one after the other, and how many they are."""
    whole = new(algorithm)
    whole.update(b"".join(base64.b64decode(value) for value in values))
    return f"{encoded(whole)}-{len(values)}"


def encoded(checksum: Checksum) -> str:
    return base64.b64encode(checksum.digest()).decode()


def _native(algorithm: str) -> Callable[[bytes | memoryview, int], int] | None:
    """The AWS Common Runtime's, where it is installed: the lab itself does not need it."""
    try:
        step: Callable[[bytes | memoryview, int], int] = getattr(importlib.import_module("awscrt.checksums"), algorithm)
    except ImportError:
        return None
    return step


def _slow(algorithm: str) -> Callable[[bytes | memoryview, int], int]:
    """Some MB/s: enough for tests."""
    table = _table(algorithm)
    mask = (1 << 8 * _POLYNOMIALS[algorithm][1]) - 1

    def step(data: bytes | memoryview, value: int) -> int:
        value ^= mask
        for byte in bytes(data):
            value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
        return value ^ mask

    return step


@cache
def _table(algorithm: str) -> list[int]:
    polynomial = _POLYNOMIALS[algorithm][0]
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)  # noqa: PLW2901
        table.append(value)
    return table


def combined(algorithm: str, parts: Sequence[tuple[str, int]]) -> str:
    """The CRC of the whole from those of its parts and their lengths, as S3 does it for FULL_OBJECT."""
    polynomial, width_bytes = _POLYNOMIALS.get(algorithm, (0xEDB88320, 4))
    bits, whole = 8 * width_bytes, 0
    for value, length in parts:
        shift = _power_of_x(8 * length, polynomial, bits)
        whole = _product(shift, whole, polynomial, bits) ^ int.from_bytes(base64.b64decode(value), "big")
    return base64.b64encode(whole.to_bytes(width_bytes, "big")).decode()


def _product(left: int, right: int, polynomial: int, bits: int) -> int:
    """Modulo the polynomial, both reflected: the highest bit is x^0."""
    found = 0
    for position in range(bits - 1, -1, -1):
        if left >> position & 1:
            found ^= right
        right = (right >> 1) ^ (polynomial if right & 1 else 0)
    return found


def _power_of_x(exponent: int, polynomial: int, bits: int) -> int:
    found, square = 1 << (bits - 1), 1 << (bits - 2)
    while exponent:
        if exponent & 1:
            found = _product(found, square, polynomial, bits)
        square = _product(square, square, polynomial, bits)
        exponent >>= 1
    return found
