"""Reads a large file by ranges, in blocks, and caches the latest blocks. `fetch` reads from the file."""

from collections import OrderedDict
from collections.abc import Callable

from lambdas.runtime.errors import VmcoreUnreadable
from lambdas.vmcore.budget import Budget, Cost

# Takes offset and length; may return less at the end of the file.
Fetch = Callable[[int, int], bytes]

# A request to S3 takes at least some 30 ms, and transfers some 50 MB/s.
_BLOCK_BYTES = 512 * 1024
_MOST_BLOCKS = 64


class BytesByRange:
    """The file's bytes by offset."""

    def __init__(
        self, fetch: Fetch, size_bytes: int, *, block_bytes: int = _BLOCK_BYTES, budget: Budget | None = None
    ) -> None:
        self._fetch = fetch
        self._block_bytes = block_bytes
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.size_bytes = size_bytes
        #: For all that reads the dump.
        self.budget = budget or Budget()

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes; raises VmcoreUnreadable beyond the end of the file."""
        if offset < 0 or size < 0 or offset + size > self.size_bytes:
            raise VmcoreUnreadable(
                f"The dump is truncated: it has {self.size_bytes} bytes, but needs {size} bytes at offset {offset}."
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
        # One of many blocks takes as long as many of one.
        self.budget.spend(Cost.REQUESTS, max(1, -(-size // self._block_bytes)))
        data = self._fetch(offset, size)
        if len(data) != size:
            raise VmcoreUnreadable(f"Reading {size} bytes at offset {offset} returned {len(data)} bytes.")
        return data
