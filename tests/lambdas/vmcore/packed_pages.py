"""Packs pages as makedumpfile does, though less tightly, and invents pages that are damaged."""

import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from lambdas.vmcore.decompress import LZO, SNAPPY, ZLIB

PAGE_BYTES = (4096, 16384, 65536)
# What means most: ends, long counts, short and far copies.
_CODES = (0, 1, 3, 4, 15, 16, 17, 18, 31, 32, 33, 60, 61, 63, 64, 127, 128, 240, 244, 248, 252, 255)


@dataclass(frozen=True)
class HostilePage:
    """The data of a page, and what its descriptor says."""

    data: bytes
    flags: int
    size: int


def pack_zlib(page: bytes) -> bytes:
    """As `makedumpfile -c`."""
    return zlib.compress(page, 1)


def pack_lzo(page: bytes) -> bytes:
    """Literals, and a run of zeros at the end as one copy of the last byte."""
    text, zeros = _split(page)
    head = b"\0" + _long_count(len(text) - 18) + text
    return head + (b"\x20" + _long_count(zeros - 33) + b"\0\0" if zeros else b"") + b"\x11\0\0"


def pack_snappy(page: bytes) -> bytes:
    """The same with copies of 64 bytes at most."""
    text, zeros = _split(page)
    out = _varint(len(page)) + b"\xf4" + struct.pack("<H", len(text) - 1) + text
    for begin in range(0, zeros, 64):
        out += bytes([min(64, zeros - begin) - 1 << 2 | 2]) + struct.pack("<H", 1)
    return out


PACKERS: dict[int, Callable[[bytes], bytes]] = {ZLIB: pack_zlib, LZO: pack_lzo, SNAPPY: pack_snappy}


def hostile_page(chance: random.Random) -> HostilePage:
    """A packed page with damage, or codes in no order at all."""
    flags, size = chance.choice(list(PACKERS)), chance.choice(PAGE_BYTES)
    if chance.random() < 0.3:
        data = bytearray(chance.choice(_CODES) if chance.random() < 0.7 else chance.randrange(256) for _ in range(60))
    else:
        text = chance.randbytes(chance.randrange(20, 400))
        data = bytearray(PACKERS[flags](text.ljust(size, b"\0")))
    for _ in range(chance.choice((0, 1, 1, 2, 6))):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            data[place : place + 1] = bytes([chance.choice(_CODES)])
        elif kind == 1:
            data[place:place] = bytes([chance.choice(_CODES)]) * chance.choice((1, 2, 300))
        elif kind == 2:
            del data[place : place + chance.choice((1, 2, 40))]
        else:
            data[place:place] = data[chance.randrange(len(data) + 1) :][:40]
    return HostilePage(bytes(data), flags, size if chance.random() < 0.9 else chance.choice(PAGE_BYTES))


def _split(page: bytes) -> tuple[bytes, int]:
    """The text, which ends in a zero, and the number of zeros behind it: none, or 40 at least."""
    text = (page.rstrip(b"\0") + b"\0").ljust(40, b"\0")
    return (text, len(page) - len(text)) if len(page) - len(text) >= 40 else (page, 0)


def _long_count(count: int) -> bytes:
    return bytes((count - 1) // 255) + bytes([(count - 1) % 255 + 1])


def _varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])
