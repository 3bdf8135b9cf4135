"""Dumps for the fuzz: composed ones of every format and kernel, with damage where it hurts.

Damage is done at four levels: the memory (VMCOREINFO, page tables, the log's structures), the format's headers and
tables, the pieces of a flattened stream, and any byte.
"""

import copy
import random
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from lab.machines.composed_dump import (
    PAGE,
    Memory,
    elf,
    kdump_compressed,
    memory_with_log,
    memory_with_old_log,
)
from tests.lambdas.vmcore.packed_pages import PACKERS

_KERNEL_MAP, _DIRECT_MAP, _ARM64_LINEAR_MAP = 0xFFFFFFFF80000000, 0xFFFF888000000000, 0xFFFF000000000000
_PHYS_BASE, _TEXTS = 0x400000, 0x3000000
# Physical addresses: four pages of page tables, then the ring, the descriptors and the infos.
_IMAGE = _PHYS_BASE + 0x1000000
_RING, _DESCRIPTORS, _INFOS = (_IMAGE + 0x4000 * number for number in (1, 2, 3))
_TABLES = tuple(_IMAGE + PAGE * number for number in range(4))
_FREE = 0x3800000
_LINES = [(number * 10**9, f"line {number} " + "x" * (number % 60)) for number in range(30)]
_NUMBERS = tuple(
    number
    for bits in (0, 1, 2, 3, 8, 12, 16, 20, 24, 26, 31, 32, 36, 48, 62, 63, 64)
    for number in ((1 << bits) - 1, 1 << bits, (1 << bits) + 1)
)
_WORDS = (
    "",
    "0",
    "-1",
    "1",
    "abc",
    "0x",
    "\x00",
    "\u202e",
    "\u0663",
    "9" * 5000,
    "f" * 70_000,
    "\ue000",
    "1 2",
    "\x1b[2J",
)
_PATTERNS = (b"\x02\x00", b"\x01", b"\x00", b"\xff", b"\n", b"\x80", b"=\n", b"\x10\x00\x00\x00")

# Where they begin, and how many.
_WORDS_THAT_MATTER = (
    *((_TABLES[0], 512), (_TABLES[1], 512), (_TABLES[2], 16), (_TABLES[3], 1)),
    *((_RING, 10), (_RING + 256, 1), (_DESCRIPTORS, 12), (_INFOS, 40), (_TEXTS, 40)),
)

Damage = Callable[[bytearray, random.Random], None]


@dataclass(frozen=True)
class HostileDump:
    """A file of `size_bytes`: `data` is at its beginning, `end` at its end, and between them are zeros."""

    data: bytes
    end: bytes
    size_bytes: int
    block_bytes: int

    def fetch(self, offset: int, size: int) -> bytes:
        """The bytes of a range, as S3 gives them."""
        found = self.data[offset : offset + size].ljust(size, b"\0")
        end_at = self.size_bytes - len(self.end)
        if not self.end or offset + size <= end_at:
            return found
        return (found[: max(0, end_at - offset)] + self.end[max(0, offset - end_at) :])[:size]


def hostile_dump(chance: random.Random) -> HostileDump:
    """By chance, from one that opens to one that is none."""
    memory = copy.deepcopy(chance.choice(_MEMORIES))
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        chance.choice(_MEMORY_DAMAGES)(memory, chance)
    data = bytearray(_written(memory, chance))
    for _ in range(chance.choice((0, 0, 1, 1, 3))):
        (_damage_fields if chance.random() < 0.7 else _damage_rows)(data, chance)
    if chance.random() < 0.4:
        data = _flattened(data, chance)
    for _ in range(chance.choice((0, 0, 0, 1, 2, 12))):
        chance.choice(_BYTE_DAMAGES)(data, chance)
    end, size = b"", len(data)
    if chance.random() < 0.1:
        # The end mark of a flattened stream.
        end = bytes(data[-16:]) if chance.random() < 0.5 else b""
        size += len(end) + chance.choice((0, 1, 16, PAGE, 10**6, 1 << 26, 1 << 40))
    return HostileDump(bytes(data), end, size, chance.choice((PAGE, 512 * 1024)))


def _other(chance: random.Random, old: int, bits: int) -> int:
    """Another number, most likely one at a boundary or near the old one."""
    kind = chance.randrange(5)
    if kind < 2:
        number = chance.choice(_NUMBERS)
    elif kind == 2:
        number = old + chance.choice((-PAGE, -16, -8, -1, 1, 8, 16, 24, PAGE))
    elif kind == 3:
        number = old ^ 1 << chance.randrange(bits)
    else:
        number = chance.choice((old * 2, old // 2, -old, chance.getrandbits(bits)))
    return number & (1 << bits) - 1


# -- memory


def _change_vmcoreinfo(memory: Memory, chance: random.Random) -> None:
    key = chance.choice(list(memory.info))
    old = str(memory.info[key])
    kind = chance.randrange(6)
    if kind == 0:
        del memory.info[key]
    elif kind == 1:
        memory.info[key] = chance.choice(_WORDS)
    elif kind == 2:
        memory.info[key] = memory.info[chance.choice(list(memory.info))]
    elif kind == 3 and old.isdecimal():
        memory.info[key] = chance.choice((1, -1)) * _other(chance, int(old[:20]), 32)
    elif kind == 4:
        memory.info[key] = f"{chance.choice(_NUMBERS):x}"
    else:
        memory.info[key] = old + chance.choice(_WORDS)


def _change_word(memory: Memory, chance: random.Random) -> None:
    """A word of the page tables, of the ring, or of the log's first records."""
    begin, words = chance.choice(_WORDS_THAT_MATTER)
    width = chance.choice((2, 4, 8, 8))
    places = [begin + 8 * word for word in range(words)]
    used = [place for place in places if _word(memory, place, 8)]
    place = chance.choice(used or places) + chance.choice((0, 0, 8 - width))
    number = _other(chance, _word(memory, place, width), 8 * width)
    if chance.random() < 0.3:
        # A pointer to a structure, or an entry of a page table: circles, and one page at many addresses.
        target = chance.choice((*_TABLES, _RING, _DESCRIPTORS, _INFOS, _TEXTS, _FREE))
        number = chance.choice((target | 0x63, target | 0xE3, target - _PHYS_BASE + _KERNEL_MAP, target + _DIRECT_MAP))
        number &= (1 << 8 * width) - 1
    memory.put(place, number.to_bytes(width, "little"))


def _word(memory: Memory, place: int, width: int) -> int:
    number, begin = divmod(place, PAGE)
    page = memory.pages.get(number, bytearray(PAGE))
    return int.from_bytes(page[begin : begin + width], "little")


def _fill(memory: Memory, chance: random.Random) -> None:
    """One of the log's pages with a pattern."""
    number = chance.choice((_RING, _DESCRIPTORS, _INFOS, _TEXTS, _TEXTS)) // PAGE
    pattern = chance.choice((*_PATTERNS, chance.randbytes(64)))
    begin = chance.choice((0, 0, 64, 1000))
    page = memory.pages.setdefault(number, bytearray(PAGE))
    page[begin:] = (pattern * PAGE)[: PAGE - begin]


def _spoil_text(memory: Memory, chance: random.Random) -> None:
    """Control characters and bytes that are no text, in the log."""
    for _ in range(chance.randrange(1, 20)):
        memory.put(_TEXTS + chance.randrange(400), bytes([chance.choice((0, 9, 10, 13, 27, 127, 128, 226, 237, 255))]))


def _repeat_memory(memory: Memory, chance: random.Random) -> None:
    """The linear map shows one page of the log 262,144 times: a log of any size in a small dump."""
    directory, table = _FREE // PAGE, _FREE // PAGE + 1
    memory.pages[directory] = bytearray(struct.pack("<Q", table * PAGE | 0x63) * 512)
    shown = chance.choice((_TEXTS, _TEXTS, _DESCRIPTORS, _INFOS, _FREE))
    memory.pages[table] = bytearray(struct.pack("<Q", shown | 0x63) * 512)
    memory.put(_TABLES[3], struct.pack("<Q", _FREE | 0x63))
    bits = chance.choice((20, 23, 26, 31) if chance.random() < 0.1 else (12, 16))
    if "SYMBOL(prb)" in memory.info:
        memory.put(_RING + 64, struct.pack("<I", bits))
    else:
        memory.put(_RING + 8, struct.pack("<III", 1 << min(bits, 26), 0, (1 << 32) - 1))


def _enlarge_ring(memory: Memory, chance: random.Random) -> None:
    """More records than there are, or as many as there can be, of any size."""
    if "SYMBOL(prb)" in memory.info:
        bits, head = chance.choice((5, 8, 16, 31)), chance.choice((31, 1 << 20, (1 << 62) - 1))
        tail = chance.choice((0, 1, head - (1 << bits) + 1 & (1 << 62) - 1))
        memory.put(_RING, struct.pack("<I", bits))
        memory.put(_RING + 24, struct.pack("<QQ", head, tail))
    for key in ("SIZE(prb_desc)", "SIZE(printk_info)", "SIZE(printk_log)"):
        if chance.random() < 0.3:
            memory.info[key] = chance.choice((0, 1, 2, 8, 4096))


_CHEAP = (_change_vmcoreinfo, _change_vmcoreinfo, _change_word, _change_word, _fill, _spoil_text)
# The others make a run ten times longer.
_MEMORY_DAMAGES = (*_CHEAP * 5, _repeat_memory, _enlarge_ring)


def _of_arm64(memory: Memory) -> Memory:
    """The same memory as an arm64 kernel maps it; `_written` gives the dump the machine's name."""
    memory.info |= {
        "SYMBOL(_stext)": f"{_KERNEL_MAP + 0x1000000:x}",
        "NUMBER(VA_BITS)": 48,
        "NUMBER(PHYS_OFFSET)": "0x0",
        "NUMBER(kimage_voffset)": hex(_KERNEL_MAP - _PHYS_BASE),
    }
    data = _RING + 72 if "SYMBOL(prb)" in memory.info else _RING
    memory.put(data, struct.pack("<Q", _ARM64_LINEAR_MAP + _TEXTS))
    return memory


_MEMORIES = (
    memory_with_log(),
    memory_with_log(_LINES, begin=4000, first_id=40),
    memory_with_old_log(),
    memory_with_old_log(_LINES, begin=3600),
    _of_arm64(memory_with_log(_LINES)),
    _of_arm64(memory_with_old_log()),
)


# -- the formats


def _written(memory: Memory, chance: random.Random) -> bytes:
    is_arm64 = "NUMBER(VA_BITS)" in memory.info
    is_packed = chance.random() < 0.8
    if chance.random() < 0.5:
        # ValueError: its notes are too long for the format.
        with suppress(ValueError):
            dump = kdump_compressed(memory, is_compressed=False)
            dump = _packed(bytearray(dump), chance) if is_packed else dump
            return dump.replace(b"x86_64\0", b"aarch64", 1) if is_arm64 else dump
    dump = elf(memory)
    return dump[:18] + struct.pack("<H", 183) + dump[20:] if is_arm64 else dump


def _packed(dump: bytearray, chance: random.Random) -> bytes:
    """The pages compressed in one way or in several, behind those that are not."""
    ways = list(PACKERS.items())
    if chance.random() < 0.7:
        ways = [chance.choice(ways)]
    for place in _rows(dump)[0]:
        position, size = struct.unpack_from("<qI", dump, place)
        flags, pack = chance.choice(ways)
        packed = pack(bytes(dump[position : position + size]))
        if len(packed) < size:
            struct.pack_into("<qII", dump, place, len(dump), len(packed), flags)
            dump += packed
    return bytes(dump)


def _rows(dump: bytes | bytearray) -> tuple[range, int]:
    """The places of the table's rows, segments or descriptors, and their size; as far as the headers tell."""
    if dump.startswith(b"\x7fELF") and len(dump) >= 64:
        (begin,), (count,), size = struct.unpack_from("<Q", dump, 32), struct.unpack_from("<H", dump, 56), 56
    elif dump.startswith(b"KDUMP") and len(dump) >= 440:
        sub_header_blocks, bitmap_blocks = struct.unpack_from("<iI", dump, 432)
        begin, size = PAGE * (1 + sub_header_blocks + bitmap_blocks), 24
        count = int.from_bytes(dump[begin - PAGE : begin], "little").bit_count() if 0 < begin < len(dump) else 0
    else:
        return range(0), 0
    count = max(0, min(count, (len(dump) - begin) // size))
    return range(begin, begin + count * size, size), size


# Place and width of each header's fields, of a segment's and of a descriptor's.
_ELF_HEADER = ((4, 1), (18, 2), (32, 8), (54, 2), (56, 2), (56, 2))
_KDUMP_HEADER = ((424, 4), (428, 4), (432, 4), (436, 4), (PAGE, 8), (PAGE + 32, 8), (PAGE + 40, 8))
_SEGMENT = ((0, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8))
_DESCRIPTOR = ((0, 8), (8, 4), (12, 4), (12, 1))


def _damage_fields(dump: bytearray, chance: random.Random) -> None:
    """A field of the header, of a row of the table, or of the first note."""
    is_elf = dump.startswith(b"\x7fELF")
    rows, _ = _rows(dump)
    fields = _ELF_HEADER if is_elf else _KDUMP_HEADER
    place, width = chance.choice(fields)
    kind = chance.random()
    if kind < 0.6 and rows:
        place, width = chance.choice(_SEGMENT if is_elf else _DESCRIPTOR)
        place += chance.choice((rows[0], rows[-1], chance.choice(rows)))
    elif kind < 0.75 and is_elf:
        place, width = rows.stop + 4 * chance.randrange(3), 4
    if place + width <= len(dump):
        number = _other(chance, int.from_bytes(dump[place : place + width], "little"), 8 * width)
        dump[place : place + width] = number.to_bytes(width, "little")


def _damage_rows(dump: bytearray, chance: random.Random) -> None:
    """A row over another one, or a table of many rows at the end of an ELF file."""
    rows, size = _rows(dump)
    if not rows:
        return
    one, other = chance.choice(rows), chance.choice(rows)
    if chance.random() < 0.7 or size != 56:
        dump[other : other + size] = dump[one : one + size]
        return
    count = chance.choice((1000, 10_000, 65_535) if chance.random() < 0.02 else (10, 100))
    kind, flags, position, virtual, physical, stored, memory, align = struct.unpack_from("<IIQQQQQQ", dump, one)
    step, length = chance.choice(((0, stored), (PAGE, stored), (1, 1), (2, 1), (8, 0)))
    table = bytearray(dump[rows.start : rows.stop])
    for number in range(count - len(rows)):
        address = (physical + number * step) & (1 << 64) - 1
        table += struct.pack("<IIQQQQQQ", kind, flags, position, virtual, address, length, memory, align)
    struct.pack_into("<Q", dump, 32, len(dump))
    struct.pack_into("<H", dump, 56, min(65_535, len(table) // 56))
    dump += table


# -- a flattened stream


def _flattened(dump: bytearray, chance: random.Random) -> bytearray:
    """In pieces of one size or of many, in order or not, some twice, some elsewhere."""
    # Tiny pieces are for small dumps: of a large one they take long to write.
    size = chance.choice((500, 64, 8, 1) if chance.random() < 1000 / max(2000, len(dump)) else (65536, 4096, 1000))
    pieces = [(place, bytes(dump[place : place + size])) for place in range(0, len(dump), size)]
    for _ in range(chance.choice((0, 0, 1, 3))):
        one = chance.randrange(len(pieces)) if pieces else 0
        kind = chance.randrange(6)
        if kind == 0:
            chance.shuffle(pieces)
        elif kind == 1:
            pieces[one:one] = [pieces[chance.randrange(len(pieces))]] * chance.choice((1, 1, 5, 100))
        elif kind == 2:
            pieces[one] = (abs(pieces[one][0] + chance.choice((-size, -1, 1, 8, size))), pieces[one][1])
        elif kind == 3:
            offset, data = pieces[one]
            pieces[one : one + 1] = [(offset + at, data[at : at + 1]) for at in range(min(len(data), 500))]
        elif kind == 4:
            del pieces[one]
        else:
            pieces = [piece for piece in pieces if any(piece[1])]
        if not pieces:
            break
    stream = bytearray(b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1).ljust(4080, b"\0"))
    damaged = chance.randrange(len(pieces)) if pieces and chance.random() < 0.3 else -1
    for number, (offset, data) in enumerate(pieces):
        header = (offset, len(data))
        if number == damaged:
            header = chance.choice(((_other(chance, offset, 63), len(data)), (offset, _other(chance, len(data), 63))))
        stream += struct.pack(">qq", *header) + data
    return stream + (struct.pack(">qq", -1, -1) if chance.random() < 0.95 else b"")


# -- any byte


def _flip(dump: bytearray, chance: random.Random) -> None:
    # Mostly in the headers.
    place = chance.randrange(min(len(dump), 9000) if chance.random() < 0.5 else len(dump)) if dump else 0
    dump[place : place + 1] = bytes([(dump[place] if dump else 0) ^ 1 << chance.randrange(8)])


def _cut(dump: bytearray, chance: random.Random) -> None:
    del dump[chance.randrange(len(dump) + 1) if chance.random() < 0.5 else max(0, len(dump) - chance.randrange(40)) :]


def _move(dump: bytearray, chance: random.Random) -> None:
    """A part over another one, or between."""
    begin, length, target = (
        chance.randrange(len(dump) + 1),
        chance.choice((1, 8, 16, 56, PAGE)),
        chance.randrange(len(dump) + 1),
    )
    dump[target : target + chance.choice((0, length))] = dump[begin : begin + length]


def _overwrite(dump: bytearray, chance: random.Random) -> None:
    place, pattern = chance.randrange(len(dump) + 1), chance.choice((*_PATTERNS, chance.randbytes(8)))
    length = min(chance.choice((1, 4, 8, 100, PAGE)), len(dump) - place)
    dump[place : place + length] = (pattern * length)[:length]


_BYTE_DAMAGES: tuple[Damage, ...] = (_flip, _flip, _flip, _cut, _move, _overwrite)
