"""Composes small kernel dumps of an x86_64 machine: page tables, a printk ring buffer, and the formats around them.

For what no real dump has at hand: damage at a certain place, an old kernel, every format of one memory. That real dumps
open is shown by tests of the lab.
"""

import struct
import zlib
from collections.abc import Sequence

PAGE = 4096
RELEASE = "6.1.0-28-cloud-amd64"
BUILD_ID = "3b43fa0a95fc13d2e3f14d9c9b4a2f0dd8a54e77"
_KERNEL_MAP, _DIRECT_MAP = 0xFFFFFFFF80000000, 0xFFFF888000000000
_PHYS_BASE = 0x400000
# Virtual addresses of what the image holds; the texts lie beyond it, in memory that was allocated.
_TABLES, _RING, _DESCRIPTORS, _INFOS, _TEXTS = (_KERNEL_MAP + 0x1000000 + n * 0x4000 for n in range(5))
_TEXTS_PHYSICAL = 0x3000000
_COUNT_BITS, _DATA_BITS = 5, 12
LOG = (
    (0, "Linux version 6.1.0-28-cloud-amd64 (debian-kernel@lists.debian.org)"),
    (63_512_345_000, "NMI: IOCK error (debug interrupt?) for reason 00 on CPU 0."),
    (63_512_400_000, "Kernel panic - not syncing: NMI: Not continuing"),
)
LOG_TEXT = "".join(f"[{at // 10**9:5d}.{at % 10**9 // 1000:06d}] {text}\n" for at, text in LOG)

_OF_EVERY_KERNEL = {
    "OSRELEASE": RELEASE,
    "BUILD-ID": BUILD_ID,
    "SYMBOL(swapper_pg_dir)": f"{_TABLES:x}",
    "NUMBER(phys_base)": str(_PHYS_BASE),
    "NUMBER(pgtable_l5_enabled)": "0",
    "KERNELOFFSET": "1c00000",
    "SYMBOL(kallsyms_names)": "ffffffff82000000",
}
_RING_OF_5_10 = {
    # A variable that points to the ring.
    "SYMBOL(prb)": f"{_RING + 256:x}",
    "OFFSET(printk_ringbuffer.desc_ring)": 0,
    "OFFSET(printk_ringbuffer.text_data_ring)": 64,
    "OFFSET(prb_desc_ring.count_bits)": 0,
    "OFFSET(prb_desc_ring.descs)": 8,
    "OFFSET(prb_desc_ring.infos)": 16,
    "OFFSET(prb_desc_ring.head_id)": 24,
    "OFFSET(prb_desc_ring.tail_id)": 32,
    "OFFSET(prb_data_ring.size_bits)": 0,
    "OFFSET(prb_data_ring.data)": 8,
    "OFFSET(atomic_long_t.counter)": 0,
    "SIZE(prb_desc)": 24,
    "OFFSET(prb_desc.state_var)": 0,
    "OFFSET(prb_desc.text_blk_lpos)": 8,
    "OFFSET(prb_data_blk_lpos.begin)": 0,
    "OFFSET(prb_data_blk_lpos.next)": 8,
    "SIZE(printk_info)": 88,
    "OFFSET(printk_info.ts_nsec)": 8,
    "OFFSET(printk_info.text_len)": 16,
}
_ROW_OF_3_5 = {
    "SYMBOL(log_buf)": f"{_RING:x}",
    "SYMBOL(log_buf_len)": f"{_RING + 8:x}",
    "SYMBOL(log_first_idx)": f"{_RING + 12:x}",
    "SYMBOL(log_next_idx)": f"{_RING + 16:x}",
    "SIZE(printk_log)": 16,
    "OFFSET(printk_log.ts_nsec)": 0,
    "OFFSET(printk_log.len)": 8,
    "OFFSET(printk_log.text_len)": 10,
}
Records = Sequence[tuple[int, str]]


class Memory:
    """Pages by physical number, the VMCOREINFO that describes them, and the task of each CPU at the panic."""

    def __init__(self, info: dict[str, object]) -> None:
        self.pages: dict[int, bytearray] = {}
        #: pid of each CPU's task; the idle tasks have 0
        self.pids: tuple[int, ...] = ()
        self.info = {**_OF_EVERY_KERNEL, **info}
        self._map()

    @property
    def vmcoreinfo(self) -> bytes:
        return "".join(f"{key}={value}\n" for key, value in self.info.items()).encode()

    @property
    def notes(self) -> bytes:
        """As in /proc/vmcore: those of the CPUs (struct elf_prstatus), then VMCOREINFO."""
        cpus = ((b"CORE", 1, bytes(32) + struct.pack("<i", pid) + bytes(300)) for pid in self.pids)
        return b"".join(_note(*each) for each in (*cpus, (b"VMCOREINFO", 0, self.vmcoreinfo)))

    def put(self, physical: int, data: bytes) -> None:
        for index, byte in enumerate(data):
            number, place = divmod(physical + index, PAGE)
            self.pages.setdefault(number, bytearray(PAGE))[place] = byte

    def put_in_image(self, virtual: int, data: bytes) -> None:
        self.put(virtual - _KERNEL_MAP + _PHYS_BASE, data)

    def _map(self) -> None:
        """The image by pages of 2 MiB, all memory by one of 1 GiB: what the kernel does."""
        upper, middle, linear = (_TABLES + PAGE * n - _KERNEL_MAP + _PHYS_BASE for n in (1, 2, 3))
        self.put_in_image(_TABLES + 8 * 511, struct.pack("<Q", upper | 0x63))
        self.put(upper + 8 * 510, struct.pack("<Q", middle | 0x63))
        for index in range(16):
            self.put(middle + 8 * index, struct.pack("<Q", (_PHYS_BASE + (index << 21)) | 0xE3))
        self.put_in_image(_TABLES + 8 * (_DIRECT_MAP >> 39 & 0x1FF), struct.pack("<Q", linear | 0x63))
        self.put(linear, struct.pack("<Q", 0xE3))


def _note(name: bytes, kind: int, content: bytes) -> bytes:
    padded = (name + b"\0").ljust(len(name) + 4 & ~3, b"\0")
    return struct.pack("<III", len(name) + 1, len(content), kind) + padded + content + bytes(-len(content) % 4)


def memory_with_log(records: Records = LOG, *, first_id: int = 0, begin: int = 0) -> Memory:
    """Linux 5.10 and later; `begin` is where in the texts the first one lies: near 4096 the log wraps around."""
    memory = Memory(dict(_RING_OF_5_10))
    position = begin
    for number, (at, text) in enumerate(records, first_id):
        raw = text.encode()
        size = 8 + (len(raw) + 7 & ~7)
        start = position
        if position // (1 << _DATA_BITS) != (position + size - 1) // (1 << _DATA_BITS):
            # Does not fit before the end: it stands at the beginning.
            start = (position >> _DATA_BITS) + 1 << _DATA_BITS
        memory.put(_TEXTS_PHYSICAL + start % (1 << _DATA_BITS), struct.pack("<Q", number) + raw)
        place = number % (1 << _COUNT_BITS)
        descriptor = struct.pack("<QQQ", number | 2 << 62, position, start + size)
        memory.put_in_image(_DESCRIPTORS + place * 24, descriptor)
        memory.put_in_image(_INFOS + place * 88, struct.pack("<QQH", number, at, len(raw)))
        position = start + size
    last = first_id + len(records) - 1
    ring = struct.pack("<QQQQQ", _COUNT_BITS, _DESCRIPTORS, _INFOS, last, first_id)
    memory.put_in_image(_RING, ring)
    memory.put_in_image(_RING + 256, struct.pack("<Q", _RING))
    memory.put_in_image(_RING + 64, struct.pack("<QQ", _DATA_BITS, _DIRECT_MAP + _TEXTS_PHYSICAL))
    return memory


def memory_with_old_log(records: Records = LOG, *, begin: int = 0) -> Memory:
    """Linux 3.5 to 5.9: records one behind another, wrapping where the next one does not fit."""
    memory = Memory(dict(_ROW_OF_3_5))
    place, size = begin, 1 << _DATA_BITS
    for at, text in records:
        raw = text.encode()
        length = 16 + (len(raw) + 3 & ~3)
        if place + length > size - 16:
            memory.put(_TEXTS_PHYSICAL + place, bytes(16))
            place = 0
        memory.put(_TEXTS_PHYSICAL + place, struct.pack("<QHHI", at, length, len(raw), 0) + raw)
        place += length
    memory.put_in_image(_RING, struct.pack("<QIII", _DIRECT_MAP + _TEXTS_PHYSICAL, size, begin, place))
    return memory


def elf(memory: Memory) -> bytes:
    """What /proc/vmcore is."""
    note = memory.notes
    numbers = sorted(memory.pages)
    at = 64 + 56 * (len(numbers) + 1)
    segments = [struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(note), len(note), 0)]
    for index, number in enumerate(numbers):
        position = at + len(note) + index * PAGE
        segments.append(struct.pack("<IIQQQQQQ", 1, 7, position, 0, number * PAGE, PAGE, PAGE, 0))
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack("<16sHHIQQQIHHHHHH", ident, 4, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    return header + b"".join(segments) + note + b"".join(bytes(memory.pages[number]) for number in numbers)


def kdump_compressed(memory: Memory, *, status: int = 1, is_compressed: bool = True) -> bytes:
    """What makedumpfile writes: some pages compressed by zlib, those that do not get smaller as they are."""
    numbers = sorted(memory.pages)
    bitmap = bytearray(-(-(numbers[-1] + 1) // (8 * PAGE)) * PAGE)
    for number in numbers:
        bitmap[number // 8] |= 1 << number % 8
    utsname = b"".join(each.ljust(65, b"\0") for each in (b"Linux", b"host", RELEASE.encode(), b"#1", b"x86_64", b""))
    blocks = 2 * len(bitmap) // PAGE
    header = struct.pack("<8si390s6xqqIiiI", b"KDUMP   ", 6, utsname, 0, 0, status, PAGE, 1, blocks)
    text, notes = memory.vmcoreinfo, memory.notes
    places = (PAGE + 1024 + notes.index(text), len(text), PAGE + 1024, len(notes))
    sub_header = struct.pack("<qiiQQQQQQ", _PHYS_BASE, 31, 0, 0, 0, *places).ljust(1024, b"\0") + notes
    if len(sub_header) > PAGE:
        raise ValueError("the notes do not fit into one page")
    descriptors, data = b"", b""
    begin = 2 * PAGE + 2 * len(bitmap) + 24 * len(numbers)
    for number in numbers:
        page = bytes(memory.pages[number])
        small = zlib.compress(page, 1) if is_compressed and number % 4 != 1 else page
        flags = 1 if len(small) < PAGE else 0
        descriptors += struct.pack("<qIIQ", begin + len(data), len(small), flags, 0)
        data += small
    return header.ljust(PAGE, b"\0") + sub_header.ljust(PAGE, b"\0") + bytes(bitmap) * 2 + descriptors + data


def flattened(
    dump: bytes,
    *,
    piece_bytes: int = 65536,
    descriptors: range = range(0),
    ends: bool = True,
    writes_zeros: bool = True,
) -> bytes:
    """As makedumpfile -F writes it: headers and bitmaps first, then descriptors and data mixed, each in its order."""
    behind = descriptors.stop or len(dump)
    order = _pieces(0, descriptors.start or behind, piece_bytes)
    data, table = _pieces(behind, len(dump), piece_bytes), _pieces(descriptors.start, descriptors.stop, piece_bytes)
    for index, piece in enumerate(data):
        order.append(piece)
        if index % (len(data) // (len(table) + 1) + 1) == 0 and table:
            order.append(table.pop(0))
    order += table
    if not writes_zeros:
        order = [(begin, end) for begin, end in order if any(dump[begin:end])]
    stream = b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1).ljust(4080, b"\0")
    stream += b"".join(struct.pack(">qq", begin, end - begin) + dump[begin:end] for begin, end in order)
    return stream + (struct.pack(">qq", -1, -1) if ends else b"")


def _pieces(begin: int, end: int, size: int) -> list[tuple[int, int]]:
    return [(place, min(place + size, end)) for place in range(begin, end, size)]
