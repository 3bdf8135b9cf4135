"""ELF files with nothing in them but a build id, as small as the format allows."""

import struct
from pathlib import Path


def write_elf(path: Path, build_id: str) -> Path:
    """A 64-bit file with one section of notes, the build id second in it; without any note when build_id is ""."""
    notes = b""
    if build_id:
        content = bytes.fromhex(build_id)
        notes = struct.pack("<III", 6, 4, 1) + b"Linux\0\0\0" + b"\1\0\0\0"
        notes += struct.pack("<III", 4, len(content), 3) + b"GNU\0" + content
    identification = b"\x7fELF\x02\x01\x01" + bytes(9)
    section_at = 64 + len(notes)
    header = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, section_at, 0, 64, 0, 0, 64, 1, 0)
    section = struct.pack("<IIQQQQIIQQ", 0, 7, 0, 0, 64, len(notes), 0, 0, 4, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(identification + header + notes + section)
    return path
