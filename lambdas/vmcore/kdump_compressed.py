"""makedumpfile's format "kdump-compressed": a header, two bitmaps, and a descriptor and the data of each page."""

import struct
from collections.abc import Iterator
from functools import cached_property, lru_cache

from lambdas.runtime.errors import VmcoreUnreadable
from lambdas.vmcore.budget import Cost
from lambdas.vmcore.bytes_by_range import BytesByRange
from lambdas.vmcore.decompress import decompress
from lambdas.vmcore.elf_core import LARGEST_NOTES, split_notes
from lambdas.vmcore.flattened import Flattened

# struct disk_dump_header, from the end of its signature: header_version, utsname (six texts of 65 bytes), the time,
# status, block_size, sub_hdr_size, bitmap_blocks.
_HEADER = struct.Struct("<8si390s6xqqIiiI")
_MACHINE = slice(4 * 65, 5 * 65)
# struct kdump_sub_header up to size_note.
_SUB_HEADER = struct.Struct("<qiiQQQQQQ")
_DESCRIPTOR = struct.Struct("<qIIQ")
# makedumpfile ran out of space.
_INCOMPLETE = 0x8
_LARGEST_VMCOREINFO = 64 * 1024
# The bits before each chunk are counted once; a page's number then needs only the bits of its own chunk.
_CHUNK_BYTES = 64 * 1024
_COUNTED_AT_ONCE = 64 * _CHUNK_BYTES
_KEPT_BYTES = 16 * 1024**2


class KdumpCompressed:
    """The dump's VMCOREINFO and its memory, page by page."""

    format = "kdump-compressed"

    def __init__(self, file: BytesByRange | Flattened) -> None:
        self._file = file
        self.budget = file.budget
        header = _HEADER.unpack(file.read(0, _HEADER.size))
        status, self.page_bytes, sub_header_blocks, bitmap_blocks = header[5:]
        if self.page_bytes not in (4096, 16384, 65536) or sub_header_blocks < 1 or bitmap_blocks < 2:
            raise VmcoreUnreadable("The dump's header is damaged: pages, headers or bitmaps have an impossible size.")
        if status & _INCOMPLETE:
            raise VmcoreUnreadable("The dump is incomplete: makedumpfile marked it so. Usually it ran out of space.")
        self.machine = header[2][_MACHINE].rstrip(b"\0").decode(errors="replace")
        sub_header = _SUB_HEADER.unpack(file.read(self.page_bytes, _SUB_HEADER.size))
        self.phys_base = sub_header[0]
        self.vmcoreinfo = self._read_vmcoreinfo(*sub_header[5:7])
        # Since version 4 of the header.
        self._note_place = sub_header[7:9] if header[1] >= 4 else (0, 0)
        bitmap_bytes = bitmap_blocks * self.page_bytes // 2
        self._bitmap_at = (1 + sub_header_blocks) * self.page_bytes + bitmap_bytes
        self._bitmap_bytes = bitmap_bytes
        self._descriptors_at = self._bitmap_at + bitmap_bytes
        if isinstance(file, Flattened):
            file.divide(self._descriptors_at)
        self._page = lru_cache(_KEPT_BYTES // self.page_bytes)(self._read_page)

    def read_physical(self, address: int, size: int) -> bytes:
        """Reads memory; pages that were filtered out read as zeros."""
        first, last = address // self.page_bytes, (address + size - 1) // self.page_bytes
        data = b"".join(self._page(number) for number in range(first, last + 1))
        begin = address - first * self.page_bytes
        return data[begin : begin + size]

    def notes(self) -> Iterator[tuple[bytes, bytes]]:
        """The name and the content of each ELF note of /proc/vmcore, from which the dump was made."""
        position, length = self._note_place
        if length > LARGEST_NOTES:
            raise VmcoreUnreadable(f"The dump is damaged: its notes have more than {LARGEST_NOTES} bytes.")
        yield from split_notes(self._file.read(position, length) if length else b"")

    def _read_vmcoreinfo(self, position: int, length: int) -> bytes:
        if not 0 < length <= _LARGEST_VMCOREINFO:
            raise VmcoreUnreadable(f"The dump is damaged: its VMCOREINFO has {length} bytes.")
        return self._file.read(position, length)

    @cached_property
    def _before(self) -> list[int]:
        """The number of dumped pages before each chunk of the bitmap; the last entry is the total."""
        counts = [0]
        for place in range(0, self._bitmap_bytes, _COUNTED_AT_ONCE):
            many = self._file.read(self._bitmap_at + place, min(_COUNTED_AT_ONCE, self._bitmap_bytes - place))
            for begin in range(0, len(many), _CHUNK_BYTES):
                counts.append(counts[-1] + int.from_bytes(many[begin : begin + _CHUNK_BYTES], "little").bit_count())
        if isinstance(self._file, Flattened):
            self._file.divide(self._descriptors_at, self._descriptors_at + counts[-1] * _DESCRIPTOR.size)
        return counts

    def require_whole(self) -> None:
        """Raises VmcoreUnreadable if pages are missing. Pages are in order: the last one proves all."""
        if not self._before[-1]:
            raise VmcoreUnreadable("The dump holds no page of memory.")
        self._read_data(self._before[-1] - 1)

    def _read_page(self, number: int) -> bytes:
        chunk, byte = divmod(number // 8, _CHUNK_BYTES)
        if number // 8 >= self._bitmap_bytes:
            return bytes(self.page_bytes)
        start = chunk * _CHUNK_BYTES
        bits = self._file.read(self._bitmap_at + start, min(_CHUNK_BYTES, self._bitmap_bytes - start))
        if not bits[byte] >> number % 8 & 1:
            return bytes(self.page_bytes)
        # Pages before this one in its chunk: whole bytes, then the lower bits of its own.
        below = int.from_bytes(bits[:byte], "little").bit_count() + (bits[byte] & (1 << number % 8) - 1).bit_count()
        data, flags = self._read_data(self._before[chunk] + below)
        self.budget.spend(Cost.UNPACKED_BYTES, self.page_bytes)
        return decompress(data, flags, size=self.page_bytes)

    def _read_data(self, index: int) -> tuple[bytes, int]:
        place = self._descriptors_at + index * _DESCRIPTOR.size
        position, size, flags, _ = _DESCRIPTOR.unpack(self._file.read(place, _DESCRIPTOR.size))
        if not 0 < size <= self.page_bytes or position < self._descriptors_at:
            raise VmcoreUnreadable(f"The descriptor of the dump's page {index} is damaged.")
        return self._file.read(position, size), flags
