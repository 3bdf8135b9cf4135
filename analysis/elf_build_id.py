"""Reads the build id of an ELF file, which identifies a build of a kernel or module. Reads only headers and notes."""

import struct
from pathlib import Path
from typing import BinaryIO

_SHT_NOTE = 7
_NT_GNU_BUILD_ID = 3
# Real notes have some hundred bytes; a file with more is not a valid one.
_LONGEST_NOTES = 1 << 20


def elf_build_id(path: Path) -> str:
    """Lower-case hex; "" if the file is no 64-bit ELF file or has no build id."""
    try:
        with path.open("rb") as file:
            identification = file.read(16)
            if identification[:5] != b"\x7fELF\x02":
                return ""
            order = "<" if identification[5] == 1 else ">"
            return next((found for notes in _notes(file, order) if (found := _build_id_in(notes, order))), "")
    except (OSError, ValueError, struct.error):  # ValueError: offsets beyond any file
        return ""


def _notes(file: BinaryIO, order: str) -> list[bytes]:
    """The sections that hold notes. Not the segments: those of separate debuginfo have no content."""
    file.seek(40)
    (section_offset,) = struct.unpack(order + "Q", file.read(8))
    file.seek(58)
    entry_size, count = struct.unpack(order + "HH", file.read(4))
    found = []
    for number in range(count):
        file.seek(section_offset + number * entry_size)
        header = file.read(64)
        kind = struct.unpack_from(order + "I", header, 4)[0]
        offset, size = struct.unpack_from(order + "QQ", header, 24)
        if kind == _SHT_NOTE and size <= _LONGEST_NOTES:
            file.seek(offset)
            found.append(file.read(size))
    return found


def _build_id_in(notes: bytes, order: str) -> str:
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from(order + "III", notes, at)
        name_at = at + 12
        content_at = name_at + (name_size + 3) // 4 * 4
        if kind == _NT_GNU_BUILD_ID and notes[name_at : name_at + name_size] == b"GNU\0":
            return notes[content_at : content_at + size].hex()
        at = content_at + (size + 3) // 4 * 4
    return ""
