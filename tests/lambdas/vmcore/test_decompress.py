"""The pages of a dump: LZO of a real one, snappy by its specification."""

import base64
import hashlib
import sys

import pytest

from lambdas.runtime.errors import VmcoreUnreadable
from lambdas.vmcore.decompress import LZO, SNAPPY, ZSTD, decompress

# A page of a Linux 6.12 that makedumpfile -l wrote.
_LZO_PAGE = base64.b64decode(
    "AgAAAAAAIAAAAABOEgDwD7GNILgACQBqCFJcBQAAAGZmZsQCuQAhuAAKANqs1HzAVQAAbGljZcgCmAD9AxrcAwVvbHMuc2VydvgE/AMIwB6GIMVV"
    "AABgMYWcAPwO/wCabNeeC2l0mAoCAG5pdAB8Bf4Henu8DwUhTec3e1GvxHwDZAX+A0qtLHwABXN0b3BwZWQA/wOK+tafC2VvdaQMwQ3x3iBQYbwT"
    "BzAh3zR7fwAAcKW8AfwAbA0gAAAAAAAAAAAAADUMAA0AAAAAAAAAAAAAAAAAAAAAEQAA"
)
_LZO_DIGEST = "8c64bdeb2018ef5372ed403c6e00ba1fa5e81df0f6d1a74e6106cab2d1f2819b"


def test_a_page_that_makedumpfile_compressed_by_lzo_is_what_it_was() -> None:
    assert hashlib.sha256(decompress(_LZO_PAGE, LZO, size=4096)).hexdigest() == _LZO_DIGEST


def test_lzo_begins_with_many_literals_or_few() -> None:
    end = b"\x11\0\0"
    assert decompress(bytes([17 + 5]) + b"hello" + end, LZO, size=5) == b"hello"
    # Two literals, then two bytes from one back.
    assert decompress(bytes([17 + 2]) + b"ab" + b"\x00\x00" + end, LZO, size=4) == b"abbb"


@pytest.mark.parametrize(
    ("packed", "page"),
    [
        pytest.param(b"\x05\x10hello", b"hello", id="literal"),
        pytest.param(b"\x80\x01\xf0\x7f" + b"y" * 128, b"y" * 128, id="literal-with-its-length-behind"),
        pytest.param(b"\x08\x04ab\x09\x02", b"abababab"[:8], id="copy-that-overlaps"),
        pytest.param(b"\x0c\x0cabcd\x1e\x04\x00", b"abcdabcdabcd", id="copy-by-two-bytes"),
        pytest.param(b"\x0c\x0cabcd\x1f\x04\x00\x00\x00", b"abcdabcdabcd", id="copy-by-four-bytes"),
    ],
)
def test_snappy_as_it_is_specified(packed: bytes, page: bytes) -> None:
    assert decompress(packed, SNAPPY, size=len(page)) == page


def test_a_page_that_did_not_get_smaller_is_as_it_was() -> None:
    assert decompress(b"x" * 4096, 0, size=4096) == b"x" * 4096


class Zstd:
    """Python 3.14's compression.zstd, as far as it is used; it "decompresses" to capitals."""

    ZstdError = ValueError

    class DecompressionParameter:
        window_log_max = 100

    class ZstdDecompressor:
        def __init__(self, *, options: dict[int, int]) -> None:
            assert 16 <= options[100] <= 20, "a frame may ask for no window that no page needs"

        def decompress(self, data: bytes, *, max_length: int) -> bytes:
            return data.upper()[:max_length]


def test_zstd_is_read_where_the_runtime_has_it_and_named_where_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression.zstd", Zstd)
    assert decompress(b"page", ZSTD, size=4) == b"PAGE"
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(VmcoreUnreadable, match="zstd"):
        decompress(b"page", ZSTD, size=4)


def test_a_frame_that_stands_for_gigabytes_yields_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression.zstd", Zstd)
    with pytest.raises(VmcoreUnreadable, match="it has 65537 bytes instead of 65536"):
        decompress(b"x" * 2**20, ZSTD, size=65536)
