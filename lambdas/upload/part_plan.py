"""How a vmcore is cut for S3: into parts, and parts into batches that are described, signed and sent together.

Pure arithmetic, decided once per upload and kept in the incident record. Owns S3's limits of a multipart upload.
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

# A part that is cut off is sent anew: a second's worth of a gp3 volume is small enough to lose, and large enough that
# the processes and the request of a part (30 ms of processor time) do not count.
_USUAL_PART_BYTES = 128 * MIB
_LEAST_PART_BYTES = 8 * MIB
# Below S3's limit, so that rounding up never meets it.
_PARTS_AIMED_AT = 8_000
# Parts of a small vmcore, so that several go at once.
_PARTS_AT_LEAST = 8
# URLs of one batch: each is some 1.5 kB of the manifest, and a millisecond of plan_upload.
_MOST_PARTS_OF_A_BATCH = 2_000
# A batch should be sent within this time; its URLs live a third longer.
BATCH_SECONDS = 2400
_LEAST_BATCH_BYTES = GIB


@dataclass(frozen=True)
class PartPlan:
    """Parts are counted from 1, as S3 does; batches from 0."""

    size_bytes: int
    part_bytes: int
    parts_per_batch: int

    @classmethod
    def of(cls, upload: Upload) -> "PartPlan":
        """How a vmcore was cut when its upload was created."""
        return cls(upload.size_bytes, upload.part_bytes, upload.parts_per_batch)

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.size_bytes // self.part_bytes)

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return -(-self.parts // self.parts_per_batch)

    def batch(self, number: int) -> range:
        """The part numbers of a batch."""
        first = number * self.parts_per_batch + 1
        return range(first, min(first + self.parts_per_batch, self.parts + 1))

    def offset_of(self, part_number: int) -> int:
        """Where a part begins."""
        return (part_number - 1) * self.part_bytes

    def length_of(self, part_number: int) -> int:
        """Bytes of a part; the last may be shorter."""
        return min(self.part_bytes, self.size_bytes - self.offset_of(part_number))


def plan_parts(size_bytes: int, *, memory_bytes: int, bytes_per_second: int) -> PartPlan:
    """The cut for a vmcore on a host with that memory, at that speed of disk or network.

    A batch is read twice, for its digests and then to be sent: it and the next one have to stay in the page cache, so
    it is a quarter of memory at most. Raises VmcoreTooLarge above what S3 holds as one object.
    """
    if size_bytes > LARGEST_VMCORE_BYTES:
        raise VmcoreTooLarge(
            f"The vmcore has {size_bytes} bytes; S3 takes {LARGEST_VMCORE_BYTES} in one object.",
            "It is kept on the instance. Copy it by hand, and set a dumpLevel that leaves more pages out.",
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
