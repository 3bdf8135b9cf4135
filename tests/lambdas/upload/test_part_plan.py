"""How a vmcore is cut: inside S3's limits for every size, and inside what a session and a manifest can carry."""

import pytest

from lambdas.runtime.errors import VmcoreTooLarge
from lambdas.upload.manifest import URL_SECONDS
from lambdas.upload.part_plan import (
    BATCH_SECONDS,
    GIB,
    LARGEST_PART_BYTES,
    LARGEST_VMCORE_BYTES,
    MIB,
    MOST_PARTS,
    SMALLEST_PART_BYTES,
    PartPlan,
    plan_parts,
)

TIB = 1024 * GIB
SIZES = [1, 5 * MIB, 60 * MIB, 64 * MIB + 1, GIB, 100 * GIB, TIB, 24 * TIB, LARGEST_VMCORE_BYTES]
MEMORIES = [1 * GIB, 16 * GIB, 24 * TIB]
RATES = [1 * MIB, 125 * MIB, 2000 * MIB]


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("memory_bytes", MEMORIES)
@pytest.mark.parametrize("bytes_per_second", RATES)
def test_parts_cover_the_vmcore_exactly_and_s3_takes_them(
    size_bytes: int, memory_bytes: int, bytes_per_second: int
) -> None:
    plan = plan_parts(size_bytes, memory_bytes=memory_bytes, bytes_per_second=bytes_per_second)
    assert 1 <= plan.parts <= MOST_PARTS
    assert SMALLEST_PART_BYTES <= plan.part_bytes <= LARGEST_PART_BYTES
    assert plan.offset_of(plan.parts) + plan.length_of(plan.parts) == size_bytes
    assert plan.length_of(plan.parts) > 0
    batches = [plan.batch(number) for number in range(plan.batches)]
    assert [number for batch in batches for number in batch] == list(range(1, plan.parts + 1))


@pytest.mark.parametrize("size_bytes", SIZES)
@pytest.mark.parametrize("memory_bytes", MEMORIES)
def test_two_batches_fit_into_half_of_memory_unless_memory_is_tiny(size_bytes: int, memory_bytes: int) -> None:
    plan = plan_parts(size_bytes, memory_bytes=memory_bytes, bytes_per_second=2000 * MIB)
    assert plan.parts_per_batch * plan.part_bytes <= max(memory_bytes // 4, GIB, plan.part_bytes)


@pytest.mark.parametrize("bytes_per_second", [125 * MIB, 2000 * MIB])
def test_a_batch_is_sent_before_its_urls_die(bytes_per_second: int) -> None:
    plan = plan_parts(24 * TIB, memory_bytes=24 * TIB, bytes_per_second=bytes_per_second)
    seconds = plan.parts_per_batch * plan.part_bytes / bytes_per_second
    assert seconds <= BATCH_SECONDS
    assert seconds * 1.4 < URL_SECONDS


@pytest.mark.parametrize(
    ("size_bytes", "part_mib", "parts"),
    [(60 * MIB, 8, 8), (GIB, 128, 8), (100 * GIB, 128, 800), (24 * TIB, 3146, 8000)],
)
def test_parts_grow_with_the_vmcore(size_bytes: int, part_mib: int, parts: int) -> None:
    plan = plan_parts(size_bytes, memory_bytes=16 * GIB, bytes_per_second=125 * MIB)
    assert (plan.part_bytes // MIB, plan.parts) == (part_mib, parts)


def test_what_s3_does_not_hold_is_refused_with_what_to_do() -> None:
    with pytest.raises(VmcoreTooLarge, match="dumpLevel"):
        plan_parts(LARGEST_VMCORE_BYTES + 1, memory_bytes=GIB, bytes_per_second=MIB)


def test_the_last_batch_may_be_shorter() -> None:
    plan = PartPlan(size_bytes=4608, part_bytes=1000, parts_per_batch=3)
    assert [list(plan.batch(number)) for number in range(plan.batches)] == [[1, 2, 3], [4, 5]]
    assert (plan.offset_of(5), plan.length_of(5)) == (4000, 608)
