"""Dumps that are made to cost gigabytes, hours or the verdict: each ends soon, and what is said of it is short."""

import json
import struct
from dataclasses import asdict

import pytest

from lab.machines.composed_dump import (
    LOG_TEXT,
    PAGE,
    Memory,
    elf,
    flattened,
    kdump_compressed,
    memory_with_log,
    memory_with_old_log,
)
from lambdas.runtime.errors import VmcoreUnreadable
from lambdas.vmcore.budget import Budget, BudgetSpent, Cost
from lambdas.vmcore.bytes_by_range import BytesByRange
from lambdas.vmcore.open_dump import OpenedDump, open_dump

_RING = 0xFFFFFFFF81004000
_DIRECT_MAP, _TEXTS_PHYSICAL = 0xFFFF888000000000, 0x3000000
_PT_LOAD, _PT_NOTE = 1, 4


class Stored:
    """A dump at the beginning of a large object whose rest is zeros; counts requests."""

    def __init__(self, dump: bytes, *, size_bytes: int = 0) -> None:
        self.dump, self.size_bytes = dump, size_bytes or len(dump)
        self.requests = 0

    def fetch(self, offset: int, size: int) -> bytes:
        self.requests += 1
        return self.dump[offset : offset + size].ljust(size, b"\0")

    def open(self, most: dict[Cost, int] | None = None) -> OpenedDump:
        return open_dump(BytesByRange(self.fetch, self.size_bytes, budget=Budget(most)))


def elf_with(segments: list[tuple[int, int, int]]) -> bytes:
    """Kind, position and size of each segment, in an ELF file of an x86_64 machine."""
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack("<16sHHIQQQIHHHHHH", ident, 4, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    rows = (struct.pack("<IIQQQQQQ", kind, 7, at, 0, at, size, size, 0) for kind, at, size in segments)
    return header + b"".join(rows)


@pytest.mark.parametrize(
    "release",
    [pytest.param("A" * 300_000, id="long"), pytest.param("\x01" * 50_000, id="invisible"), "6.1\u202e\u2028\ue000x"],
)
def test_what_a_dump_calls_itself_is_short_and_visible(release: str) -> None:
    memory = memory_with_log()
    memory.info |= {"OSRELEASE": release, "BUILD-ID": release, "KERNELOFFSET": "f" * 60_000}
    opened = Stored(elf(memory)).open()
    assert 0 < len(opened.kernel_release) <= 128
    assert 0 < len(opened.build_id) <= 64
    assert (opened.kernel_release + opened.build_id).isprintable()
    assert len(json.dumps(asdict(opened))) < 2_000
    assert opened.log == LOG_TEXT


def test_a_record_shorter_than_its_text_ends_the_reading_of_an_old_log() -> None:
    memory = memory_with_old_log()
    memory.put(_TEXTS_PHYSICAL, struct.pack("<QHHI", 0, 2, 65535, 0))
    opened = Stored(elf(memory)).open()
    assert (opened.log, len(opened.problems)) == ("", 1)
    assert "shorter than its text" in opened.problems[0]


def test_of_an_old_log_only_the_newest_lines_are_kept() -> None:
    """Line breaks alone: each becomes a line with a time of its own."""
    memory = memory_with_old_log()
    size, length = 32 * 1024**2, 16 + 100
    row = struct.pack("<QHHI", 0, length, 100, 0) + b"\n" * 99 + b"x"
    text = row * (size // length)
    for start in range(0, len(text), PAGE):
        memory.pages[(_TEXTS_PHYSICAL + start) // PAGE] = bytearray(text[start : start + PAGE].ljust(PAGE, b"\0"))
    memory.put_in_image(_RING, struct.pack("<QIII", _DIRECT_MAP + _TEXTS_PHYSICAL, size, 0, len(text)))
    opened = Stored(elf(memory)).open()
    assert opened.problems == ()
    assert 3 * 1024**2 < len(opened.log) < 5 * 1024**2


def test_a_ring_of_billions_of_records_spends_the_lookups() -> None:
    memory = memory_with_log()
    count_bits, head, tail = 31, 1 << 20, (1 << 20) - (1 << 31) & (1 << 62) - 1
    descriptors = _DIRECT_MAP + 0x100000
    memory.put_in_image(_RING, struct.pack("<QQQQQ", count_bits, descriptors, descriptors, head, tail))
    opened = Stored(elf(memory)).open({Cost.LOOKUPS: 2_000})
    assert opened.log == ""
    assert "more than 2000 lookups of virtual addresses" in opened.problems[0]


@pytest.mark.parametrize("key", ["SIZE(prb_desc)", "SIZE(printk_info)", "OFFSET(prb_desc.state_var)"])
def test_a_structure_of_an_impossible_size_is_not_read(key: str) -> None:
    memory = memory_with_log()
    memory.info[key] = 256 * 1024**2
    opened = Stored(elf(memory)).open()
    assert f"{key} is impossible" in opened.problems[0]


def test_descriptors_without_bytes_spend_the_records() -> None:
    """They take no lookup: two thousand million of them would be read."""
    memory = memory_with_log()
    memory.info["SIZE(prb_desc)"] = 0
    memory.put_in_image(_RING, struct.pack("<I", 31))
    memory.put_in_image(_RING + 24, struct.pack("<QQ", 1 << 40, 0))
    opened = Stored(elf(memory)).open({Cost.RECORDS: 2_000})
    assert "more than 2000 records of the kernel's log" in opened.problems[0]


def test_records_of_two_bytes_spend_the_records() -> None:
    memory = memory_with_old_log()
    memory.info |= {"SIZE(printk_log)": 0, "OFFSET(printk_log.len)": 0, "OFFSET(printk_log.text_len)": 0}
    memory.pages[_TEXTS_PHYSICAL // PAGE] = bytearray(b"\x02\x00" * (PAGE // 2))
    memory.put_in_image(_RING, struct.pack("<QIII", _DIRECT_MAP + _TEXTS_PHYSICAL, PAGE, 0, PAGE))
    opened = Stored(elf(memory)).open({Cost.RECORDS: 1_000})
    assert "more than 1000 records of the kernel's log" in opened.problems[0]


def test_segments_of_one_byte_spend_the_parts() -> None:
    """The same range may be read for each of two thousand million records."""
    memory = memory_with_old_log()
    text = memory.vmcoreinfo
    note = struct.pack("<III", 11, len(text), 0) + b"VMCOREINFO\0\0" + text
    first = elf(memory)
    count = struct.unpack_from("<H", first, 56)[0]
    rows = [first[64 + 56 * number : 120 + 56 * number] for number in range(1, count)]
    rows = [row for row in rows if struct.unpack_from("<Q", row, 24)[0] != _TEXTS_PHYSICAL]
    rows += [
        struct.pack("<IIQQQQQQ", _PT_LOAD, 7, 0, 0, _TEXTS_PHYSICAL + 2 * number, 1, 1, 0) for number in range(2000)
    ]
    at = len(first) + 56 * (len(rows) + 1)
    table = struct.pack("<IIQQQQQQ", _PT_NOTE, 0, at, 0, 0, len(note), len(note), 0) + b"".join(rows)
    header = first[:32] + struct.pack("<Q", len(first)) + first[40:56] + struct.pack("<H", len(rows) + 1) + first[58:]
    opened = Stored(header + table + note).open({Cost.PARTS: 1_000})
    assert "more than 1000 further parts of ranges" in opened.problems[0]


def test_pieces_of_one_byte_spend_the_parts() -> None:
    stream = flattened(kdump_compressed(memory_with_log()), piece_bytes=8)
    opened = Stored(stream).open({Cost.PARTS: 3_000})
    assert "more than 3000 further parts of ranges" in opened.problems[0]


def test_many_large_notes_are_not_read() -> None:
    stored = Stored(elf_with([(_PT_NOTE, 4 * 1024**2, 16 * 1024**2)] * 65_535), size_bytes=1 << 40)
    with pytest.raises(VmcoreUnreadable, match="its notes have more than 16777216 bytes"):
        stored.open()
    assert stored.requests < 30


def test_notes_all_over_the_file_spend_the_requests() -> None:
    stored = Stored(elf_with([(_PT_NOTE, number << 24, 100) for number in range(1, 65_535)]), size_bytes=1 << 41)
    with pytest.raises(VmcoreUnreadable, match="more than 100 requests for ranges") as raised:
        stored.open({Cost.REQUESTS: 100})
    assert not isinstance(raised.value, BudgetSpent), "the workflow knows the error by the name of its class"
    assert stored.requests == 100


def test_that_a_dump_of_many_segments_is_whole_takes_one_request() -> None:
    text = Memory({}).vmcoreinfo
    note = struct.pack("<III", 11, len(text), 0) + b"VMCOREINFO\0\0" + text
    at = 64 + 56 * 65_535
    segments = [(_PT_NOTE, at, len(note)), *((_PT_LOAD, number << 24, 100) for number in range(1, 65_535))]
    stored = Stored(elf_with(segments) + note, size_bytes=1 << 41)
    assert "where the kernel's log is" in stored.open().problems[0]
    assert stored.requests < 30


def test_a_large_request_counts_as_many() -> None:
    """More than sixteen blocks come in one request, which takes as long as they are many."""
    file = BytesByRange(lambda _, size: bytes(size), 1 << 40, block_bytes=PAGE, budget=Budget({Cost.REQUESTS: 100}))
    file.read(0, 90 * PAGE)
    with pytest.raises(BudgetSpent, match="more than 100 requests for ranges"):
        file.read(0, 90 * PAGE)


def test_a_flattened_file_of_tiny_pieces_spends_the_pieces() -> None:
    stream = flattened(elf(memory_with_log()), piece_bytes=1)
    with pytest.raises(VmcoreUnreadable, match="more than 5000 pieces of a flattened file"):
        Stored(stream).open({Cost.PIECES: 5_000})


def test_an_honest_dump_spends_little_of_each_budget() -> None:
    few = {Cost.REQUESTS: 30, Cost.PIECES: 100, Cost.LOOKUPS: 100, Cost.UNPACKED_BYTES: 2**20, Cost.CANDIDATES: 100}
    few |= {Cost.PARTS: 100, Cost.RECORDS: 10}
    assert Stored(flattened(elf(memory_with_log()))).open(few).log == LOG_TEXT
