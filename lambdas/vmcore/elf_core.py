"""A dump as an ELF core: the format of /proc/vmcore and of `makedumpfile -E`."""

import struct
from bisect import bisect_right
from collections.abc import Iterator

from lambdas.runtime.errors import VmcoreUnreadable
from lambdas.vmcore.budget import Cost
from lambdas.vmcore.bytes_by_range import BytesByRange
from lambdas.vmcore.flattened import Flattened

_PT_LOAD, _PT_NOTE = 1, 4
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
# Each CPU has a note, and machines have thousands of CPUs at most: all notes together.
LARGEST_NOTES = 16 * 1024**2
_64_BITS_LITTLE_ENDIAN = b"\x7fELF\x02\x01"


class ElfCore:
    """The dump's notes and its memory."""

    format = "ELF"
    phys_base = 0

    def __init__(self, file: BytesByRange | Flattened) -> None:
        self._file = file
        self.budget = file.budget
        header = _HEADER.unpack(file.read(0, _HEADER.size))
        if not header[0].startswith(_64_BITS_LITTLE_ENDIAN):
            raise VmcoreUnreadable("The dump is an ELF file, but not of a 64-bit little-endian machine.")
        self.machine = {62: "x86_64", 183: "aarch64"}.get(header[2], "")
        place, size, count = header[5], header[9], header[10]
        if size != _SEGMENT.size or not count:
            raise VmcoreUnreadable("The dump is an ELF file without segments.")
        table = file.read(place, size * count)
        segments = [_SEGMENT.unpack_from(table, index * size) for index in range(count)]
        #: physical address, position in the file, size
        self._loads = sorted((each[4], each[2], each[5]) for each in segments if each[0] == _PT_LOAD)
        self._starts = [load[0] for load in self._loads]
        self._note_places = [(each[2], each[5]) for each in segments if each[0] == _PT_NOTE]
        self.vmcoreinfo = self._find_vmcoreinfo()

    def read_physical(self, address: int, size: int) -> bytes:
        """Reads memory; pages that were filtered out read as zeros."""
        out = bytearray()
        while len(out) < size:
            if out:
                self.budget.spend(Cost.PARTS)
            at, wanted = address + len(out), size - len(out)
            index = bisect_right(self._starts, at) - 1
            start, position, length = self._loads[index] if index >= 0 else (0, 0, 0)
            if start <= at < start + length:
                out += self._file.read(position + at - start, min(wanted, start + length - at))
            else:
                following = self._starts[index + 1] if index + 1 < len(self._starts) else at + wanted
                out += bytes(min(wanted, following - at))
        return bytes(out)

    def require_whole(self) -> None:
        """Raises VmcoreUnreadable when a segment ends beyond the file. The last one in the file proves all."""
        end = max((position + length for _, position, length in self._loads if length), default=0)
        if end:
            self._file.read(end - 1, 1)

    def notes(self) -> Iterator[tuple[bytes, bytes]]:
        """The name and the content of each ELF note."""
        left = LARGEST_NOTES
        for position, length in self._note_places:
            left -= length
            if left < 0:
                raise VmcoreUnreadable(f"The dump is damaged: its notes have more than {LARGEST_NOTES} bytes.")
            yield from split_notes(self._file.read(position, length))

    def _find_vmcoreinfo(self) -> bytes:
        found = next((content for name, content in self.notes() if name == b"VMCOREINFO"), None)
        if found is None:
            raise VmcoreUnreadable("The file is ELF without VMCOREINFO: it is no kernel dump.")
        return found


def split_notes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name and the content of each ELF note in `data`; what is cut at its end is left out."""
    place = 0
    while place + _NOTE.size <= len(data):
        name_size, text_size, _ = _NOTE.unpack_from(data, place)
        name_at = place + _NOTE.size
        text_at = name_at + (name_size + 3 & ~3)
        yield data[name_at : name_at + name_size].rstrip(b"\0"), data[text_at : text_at + text_size]
        place = text_at + (text_size + 3 & ~3)
