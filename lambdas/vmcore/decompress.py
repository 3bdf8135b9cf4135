"""Decompresses a page that makedumpfile compressed; LZO and snappy in Python.

A page has 4 to 64 KiB, and only some hundreds are read, at a millisecond each. That does not justify a library with
machine code, which would have to be built for two platforms.
"""

import importlib
import zlib

from lambdas.runtime.errors import VmcoreUnreadable

ZLIB, LZO, SNAPPY, ZSTD = 0x01, 0x02, 0x04, 0x20
_METHODS = ZLIB | LZO | SNAPPY | ZSTD
_LZO_END = 16384
# The largest page has 64 KiB (2**16), and a frame needs no larger window than its content.
_ZSTD_WINDOW_LOG = 17


def decompress(data: bytes, flags: int, *, size: int) -> bytes:
    """Decompresses a page of `size` bytes by its descriptor's flags; raises VmcoreUnreadable."""
    method = flags & _METHODS
    try:
        page = _decompress(data, method, size)
    except (IndexError, zlib.error) as error:
        raise VmcoreUnreadable(f"A page of the dump is damaged ({error}).") from error
    if len(page) != size:
        raise VmcoreUnreadable(f"A page of the dump is damaged: it has {len(page)} bytes instead of {size}.")
    return page


def _decompress(data: bytes, method: int, size: int) -> bytes:
    if method == ZLIB:
        return zlib.decompressobj().decompress(data, size + 1)
    if method == LZO:
        return unpack_lzo(data, most=size)
    if method == SNAPPY:
        return unpack_snappy(data, most=size)
    if method == ZSTD:
        return _unpack_zstd(data, most=size)
    return data


def _unpack_zstd(data: bytes, *, most: int) -> bytes:
    try:
        zstd = importlib.import_module("compression.zstd")
    except ImportError as error:  # before Python 3.14, which the functions have
        raise VmcoreUnreadable("The dump is compressed with zstd, which this Python cannot read.") from error
    try:
        # Frames of a few bytes can stand for gigabytes, and ask for a window of 128 MiB.
        options = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        return bytes(zstd.ZstdDecompressor(options=options).decompress(data, max_length=most + 1))
    except zstd.ZstdError as error:
        raise VmcoreUnreadable(f"A page of the dump is damaged ({error}).") from error


def unpack_lzo(data: bytes, *, most: int) -> bytes:
    """LZO1X as in the kernel's Documentation/staging/lzo.rst; raises IndexError if the data is damaged."""
    out = bytearray()
    place = 0
    # How many literals the last instruction copied; 4 stands for more than three.
    state = 0
    if data[0] > 17:
        count = data[0] - 17
        place, state = 1 + count, min(count, 4)
        out += data[1:place]
    while len(out) <= most:
        code = data[place]
        place += 1
        if code < 16 and state == 0:
            count, place = (code + 3, place) if code else _long_count(data, place, 18)
            _need(data, place, count)
            out += data[place : place + count]
            place, state = place + count, 4
            continue
        if code >= 64:
            count = (code >> 5) + 1
            distance = (data[place] << 3) + (code >> 2 & 7) + 1
            place, state = place + 1, code & 3
        elif code >= 16:
            is_near = code >= 32
            short = code & (31 if is_near else 7)
            count, place = (short + 2, place) if short else _long_count(data, place, 33 if is_near else 9)
            low = data[place] | data[place + 1] << 8
            place, state = place + 2, low & 3
            distance = (low >> 2) + (1 if is_near else _LZO_END + ((code & 8) << 11))
            if distance == _LZO_END and not is_near:
                return bytes(out)
        else:
            count, distance = (3, 2049) if state == 4 else (2, 1)
            distance += (data[place] << 2) + (code >> 2)
            place, state = place + 1, code & 3
        _copy(out, distance, count, most)
        _need(data, place, state)
        out += data[place : place + state]
        place += state
    return bytes(out)


def unpack_snappy(data: bytes, *, most: int) -> bytes:
    """Snappy's raw format; raises IndexError if the data is damaged."""
    out = bytearray()
    place = 0
    while data[place] & 0x80:
        place += 1
    place += 1
    while place < len(data) and len(out) <= most:
        tag = data[place]
        kind, place = tag & 3, place + 1
        if kind == 0:
            count = (tag >> 2) + 1
            if count > 60:
                width = count - 60
                count, place = _little(data, place, width) + 1, place + width
            _need(data, place, count)
            out += data[place : place + count]
            place += count
            continue
        if kind == 1:
            count, distance, place = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[place], place + 1
        else:
            width = 2 if kind == 2 else 4
            count, distance, place = (tag >> 2) + 1, _little(data, place, width), place + width
        _copy(out, distance, count, most)
    return bytes(out)


def _long_count(data: bytes, place: int, least: int) -> tuple[int, int]:
    """A count too long for its instruction: each zero byte adds 255, the next byte ends it."""
    zeros = 0
    while data[place + zeros] == 0:
        zeros += 1
    return least + zeros * 255 + data[place + zeros], place + zeros + 1


def _little(data: bytes, place: int, width: int) -> int:
    _need(data, place, width)
    return int.from_bytes(data[place : place + width], "little")


def _copy(out: bytearray, distance: int, count: int, most: int) -> None:
    """Copies from the output; source and target may overlap."""
    begin = len(out) - distance
    if begin < 0 or distance <= 0 or count > most:
        raise IndexError("a copy from before its beginning")
    if distance >= count:
        out += out[begin : begin + count]
    else:
        out += (bytes(out[begin:]) * (count // distance + 1))[:count]


def _need(data: bytes, place: int, count: int) -> None:
    if place + count > len(data):
        raise IndexError("it ends too early")
