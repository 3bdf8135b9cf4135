"""Splits a vmcore into parts for S3, and the parts into batches that are hashed, signed and sent together.

Pure arithmetic. The layout is decided once per upload and kept in the incident record.
"""

from dataclasses import dataclass

from lambdas.incident.record import Upload
from lambdas.runtime.errors import VmcoreTooLarge

MIB = 1024**2
GIB = 1024**3

# Amazon S3 multipart upload limits: 10,000 parts of 5 MiB to 5 GiB (the last may be smaller).
MOST_PARTS = 10_000
SMALLEST_PART_BYTES = 5 * MIB
LARGEST_PART_BYTES = 5 * GIB
LARGEST_VMCORE_BYTES = MOST_PARTS * LARGEST_PART_BYTES

# An interrupted part is sent again: 128 MiB, a second of a gp3 volume, is little to lose. It is also large enough that
# a part's processes and request (30 ms of processor time) do not matter.
_USUAL_PART_BYTES = 128 * MIB
_LEAST_PART_BYTES = 8 * MIB
# Below S3's limit, so that rounding up cannot exceed it.
_PARTS_AIMED_AT = 8_000
# A small vmcore has this many parts, so that several can be sent at once.
_PARTS_AT_LEAST = 8
# Each URL adds some 1.5 kB to the manifest and a millisecond to plan_upload.
_MOST_PARTS_OF_A_BATCH = 2_000
# A batch should be sent within this time; its URLs are valid for a third more.
BATCH_SECONDS = 2400
_LEAST_BATCH_BYTES = GIB


@dataclass(frozen=True)
class PartPlan:
    """The layout of an upload. Parts are counted from 1, as in S3; batches from 0."""

    size_bytes: int
    part_bytes: int
    parts_per_batch: int

    @classmethod
    def of(cls, upload: Upload) -> "PartPlan":
        """The layout of an existing upload."""
        return cls(upload.size_bytes, upload.part_bytes, upload.parts_per_batch)

    @property
    def parts(self) -> int:
        """The number of parts."""
        return -(-self.size_bytes // self.part_bytes)

    @property
    def batches(self) -> int:
        """The number of batches."""
        return -(-self.parts // self.parts_per_batch)

    def batch(self, number: int) -> range:
        """The part numbers of a batch."""
        first = number * self.parts_per_batch + 1
        return range(first, min(first + self.parts_per_batch, self.parts + 1))

    def offset_of(self, part_number: int) -> int:
        """The offset of a part."""
        return (part_number - 1) * self.part_bytes

    def length_of(self, part_number: int) -> int:
        """The bytes of a part; the last one may be shorter."""
        return min(self.part_bytes, self.size_bytes - self.offset_of(part_number))


def plan_parts(size_bytes: int, *, memory_bytes: int, bytes_per_second: int) -> PartPlan:
    """Plans the layout for the host's memory and the speed of its disk or network.

    A batch is read twice, to hash it and to send it. It and the next batch must stay in the page cache, so a batch is
    at most a quarter of the memory. Raises VmcoreTooLarge.
    """
    if size_bytes > LARGEST_VMCORE_BYTES:
        raise VmcoreTooLarge(
            f"The vmcore has {size_bytes} bytes; S3 takes {LARGEST_VMCORE_BYTES} in one object.",
            "It stays on the instance. Copy it by hand, and set a higher dumpLevel to leave out more pages.",
        )
    usual = min(_USUAL_PART_BYTES, max(_LEAST_PART_BYTES, size_bytes // _PARTS_AT_LEAST))
    part_bytes = min(LARGEST_PART_BYTES, _whole_mib(max(usual, -(-size_bytes // _PARTS_AIMED_AT))))
    batch_bytes = max(_LEAST_BATCH_BYTES, min(memory_bytes // 4, bytes_per_second * BATCH_SECONDS))
    return PartPlan(
        size_bytes=size_bytes,
        part_bytes=part_bytes,
        parts_per_batch=max(1, min(_MOST_PARTS_OF_A_BATCH, batch_bytes // part_bytes)),
    )


def _whole_mib(size_bytes: int) -> int:
    return -(-size_bytes // MIB) * MIB
