"""Reads the kernel's log from its ring buffer, with the layout that VMCOREINFO describes.

There are two layouts: since Linux 5.10 descriptors point to texts; from 3.5 to 5.9 records follow each other.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from lambdas.vmcore.budget import Cost
from lambdas.vmcore.kernel_memory import MOST_BYTES, KernelMemory, MemoryUnreadable
from lambdas.vmcore.vmcoreinfo import Vmcoreinfo

# The crash is at the end of a log; of a longer log only the end is read.
_MOST_BYTES = 4 * 1024**2
# Of the time that each line gets.
_STAMP_BYTES = 16
# Bits 63 and 62 of a descriptor: 1 committed, 2 finalized; reserved and reusable ones have no text.
_STATE_SHIFT = 62
_WITH_TEXT = (1, 2)
_ID_MASK = (1 << _STATE_SHIFT) - 1
_LARGEST_BITS = 32


@dataclass(frozen=True, slots=True)
class _Record:
    nanoseconds: int
    text: bytes

    @property
    def printed_bytes(self) -> int:
        """The size of its lines."""
        return len(self.text) + _STAMP_BYTES * (1 + self.text.count(b"\n"))


def read_kernel_log(memory: KernelMemory, info: Vmcoreinfo) -> str:
    """The log as dmesg prints it, each line with its time; raises MemoryUnreadable."""
    try:
        records = _read_ring(memory, info) if info.symbol("prb") is not None else _read_row(memory, info)
    except (KeyError, ValueError) as error:
        raise MemoryUnreadable(f"VMCOREINFO does not describe the kernel's log: {error}") from error
    return "".join(_lines(record) for record in records)


def _lines(record: _Record) -> str:
    seconds, rest = divmod(record.nanoseconds, 10**9)
    stamp = f"[{seconds:5d}.{rest // 1000:06d}] "
    text = record.text.decode("utf-8", errors="replace").rstrip("\n")
    return "".join(f"{stamp}{line}\n" for line in text.split("\n"))


@dataclass(frozen=True)
class _Ring:
    """The addresses and sizes of the parts of struct printk_ringbuffer."""

    memory: KernelMemory
    info: Vmcoreinfo
    count: int
    descriptors: int
    infos: int
    data: int
    data_bytes: int

    def record(self, number: int) -> _Record | None:
        """None: a newer record overwrote this one or its text."""
        # A descriptor of no bytes takes no lookup.
        self.memory.budget.spend(Cost.RECORDS)
        place = number % self.count
        descriptor = self.memory.read(self.descriptors + place * self.info.size("prb_desc"), self.info.size("prb_desc"))
        state = _field(descriptor, self.info.offset("prb_desc.state_var"))
        if state & _ID_MASK != number or state >> _STATE_SHIFT not in _WITH_TEXT:
            return None
        block = self.info.offset("prb_desc.text_blk_lpos")
        begin = _field(descriptor, block + self.info.offset("prb_data_blk_lpos.begin"))
        end = _field(descriptor, block + self.info.offset("prb_data_blk_lpos.next"))
        # An odd position means "no text".
        if begin & 1:
            return None
        size = self.info.size("printk_info")
        printk_info = self.memory.read(self.infos + place * size, size)
        length = _field(printk_info, self.info.offset("printk_info.text_len"), 2)
        return _Record(_field(printk_info, self.info.offset("printk_info.ts_nsec")), self._text(begin, end, length))

    def _text(self, begin: int, end: int, length: int) -> bytes:
        first, behind = begin % self.data_bytes, end % self.data_bytes
        if begin // self.data_bytes != end // self.data_bytes:
            # A text that does not fit before the buffer's end is at its beginning; one that just fits ends at 0.
            first, behind = (0, behind) if behind else (first, self.data_bytes)
        # Each text begins with its descriptor's number.
        room = behind - first - 8
        return self.memory.read(self.data + first + 8, min(length, room)) if room > 0 else b""


def _read_ring(memory: KernelMemory, info: Vmcoreinfo) -> list[_Record]:
    ring = memory.number(info.symbol("prb") or 0)
    row = ring + info.offset("printk_ringbuffer.desc_ring")
    texts = ring + info.offset("printk_ringbuffer.text_data_ring")
    counter = info.offset("atomic_long_t.counter")
    bits = memory.number(row + info.offset("prb_desc_ring.count_bits"), 4)
    data_bits = memory.number(texts + info.offset("prb_data_ring.size_bits"), 4)
    if not (0 < bits < _LARGEST_BITS and 0 < data_bits < _LARGEST_BITS):
        raise MemoryUnreadable("the kernel's log has an impossible size")
    log = _Ring(
        memory,
        info,
        count=1 << bits,
        descriptors=memory.number(row + info.offset("prb_desc_ring.descs")),
        infos=memory.number(row + info.offset("prb_desc_ring.infos")),
        data=memory.number(texts + info.offset("prb_data_ring.data")),
        data_bytes=1 << data_bits,
    )
    newest = memory.number(row + info.offset("prb_desc_ring.head_id") + counter)
    oldest = memory.number(row + info.offset("prb_desc_ring.tail_id") + counter)
    return _newest(log, newest, (newest - oldest & _ID_MASK) + 1)


def _newest(ring: _Ring, newest: int, count: int) -> list[_Record]:
    """The newest records, up to the limit, in the order of time."""
    found: list[_Record] = []
    left = _MOST_BYTES
    for back in range(min(count, ring.count)):
        record = ring.record(newest - back & _ID_MASK)
        if record is not None:
            found.append(record)
            left -= record.printed_bytes
        if left < 0:
            break
    return found[::-1]


def _read_row(memory: KernelMemory, info: Vmcoreinfo) -> list[_Record]:
    symbols = [info.symbol(each) for each in ("log_buf", "log_buf_len", "log_first_idx", "log_next_idx")]
    place, length, first, behind = (_known(each) for each in symbols)
    size = memory.number(length, 4)
    if not 0 < size <= MOST_BYTES:
        raise MemoryUnreadable("the kernel's log has an impossible size")
    data = memory.read(memory.number(place), size)
    records: deque[_Record] = deque()
    left = _MOST_BYTES
    for record in _walk(data, info, memory.number(first, 4), memory.number(behind, 4)):
        memory.budget.spend(Cost.RECORDS)
        records.append(record)
        left -= record.printed_bytes
        while left < 0:
            left += records.popleft().printed_bytes
    return list(records)


def _known(symbol: int | None) -> int:
    if symbol is None:
        raise MemoryUnreadable("VMCOREINFO does not say where the kernel's log is")
    return symbol


def _walk(data: bytes, info: Vmcoreinfo, first: int, behind: int) -> Iterator[_Record]:
    header, at_time = info.size("printk_log"), info.offset("printk_log.ts_nsec")
    at_length, at_text = info.offset("printk_log.len"), info.offset("printk_log.text_len")
    place, has_wrapped = first, False
    while place != behind and place + header <= len(data):
        length = _field(data, place + at_length, 2)
        if length == 0:
            # The next record did not fit and is at the beginning.
            if has_wrapped:
                return
            place, has_wrapped = 0, True
            continue
        text_length = _field(data, place + at_text, 2)
        # Otherwise records of two bytes could each hold the next 64 KiB.
        if length < header + text_length:
            raise MemoryUnreadable("a record of the kernel's log is shorter than its text")
        yield _Record(_field(data, place + at_time), data[place + header : place + header + text_length])
        place += length


def _field(data: bytes, offset: int, size: int = 8) -> int:
    return int.from_bytes(data[offset : offset + size], "little")
