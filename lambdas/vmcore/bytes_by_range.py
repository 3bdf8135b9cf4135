"""Reads a large file by ranges: in blocks, of which the latest are kept. Owns no file: `fetch` does the reading."""

from collections import OrderedDict
from collections.abc import Callable

from lambdas.runtime.errors import VmcoreUnreadable

# Offset and length; may answer less at the end of the file.
Fetch = Callable[[int, int], bytes]

# A request to S3 takes some 30 ms however little it is for, and brings some 50 MB in a second.
_BLOCK_BYTES = 512 * 1024
_MOST_BLOCKS = 64


class BytesByRange:
    """The file's bytes by position."""

    def __init__(self, fetch: Fetch, size_bytes: int, *, block_bytes: int = _BLOCK_BYTES) -> None:
        self._fetch = fetch
        self._block_bytes = block_bytes
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.size_bytes = size_bytes

    def read(self, offset: int, size: int) -> bytes:
        """Exactly so many bytes; raises VmcoreUnreadable where the file has none."""
        if offset < 0 or size < 0 or offset + size > self.size_bytes:
            raise VmcoreUnreadable(
                f"It is cut: {size} bytes at {offset} should be there, but it has {self.size_bytes} bytes."
            )
        if size > self._block_bytes * _MOST_BLOCKS // 4:
            return self._whole(offset, size)
        first, last = offset // self._block_bytes, (offset + size - 1) // self._block_bytes
        data = b"".join(self._block(number) for number in range(first, last + 1))
        begin = offset - first * self._block_bytes
        return data[begin : begin + size]

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        offset = number * self._block_bytes
        self._blocks[number] = self._whole(offset, min(self._block_bytes, self.size_bytes - offset))
        if len(self._blocks) > _MOST_BLOCKS:
            self._blocks.popitem(last=False)
        return self._blocks[number]

    def _whole(self, offset: int, size: int) -> bytes:
        data = self._fetch(offset, size)
        if len(data) != size:
            raise VmcoreUnreadable(f"{size} bytes at {offset} were asked for, and {len(data)} came.")
        return data
