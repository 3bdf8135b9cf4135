"""The size of a new dump volume."""

import pytest

from lambdas.provision.volume_size import plan_size_gib

GIB = 2**30


@pytest.mark.parametrize(
    ("memory_mib", "factor", "minimum_gib", "size_gib"),
    [(1024, 2.0, 8, 8), (8192, 2.0, 8, 16), (8193, 1.0, 8, 9), (1024, 2.0, 1, 2), (512 * 1024, 0.1, 8, 52)],
)
def test_is_a_multiple_of_memory(memory_mib: int, factor: float, minimum_gib: int, size_gib: int) -> None:
    size = plan_size_gib(memory_mib, sizing="memory", factor=factor, minimum_gib=minimum_gib, dump_level=31)
    assert size == size_gib


@pytest.mark.parametrize(
    ("memory_gib", "dump_level", "expected_bytes", "size_gib"),
    [
        pytest.param(64, 31, 12 * GIB, 24, id="twice-the-dump"),
        pytest.param(64, 31, 12 * GIB + 1, 25, id="rounded-up"),
        pytest.param(64, 31, 2 * GIB, 20, id="three-tenths-of-memory-at-least"),
        pytest.param(64, 23, 2 * GIB, 64, id="all-memory-where-processes-are-kept"),
        pytest.param(4, 31, GIB // 2, 8, id="the-smallest-volume"),
    ],
)
def test_is_a_multiple_of_what_a_dump_would_keep(
    memory_gib: int, dump_level: int, expected_bytes: int, size_gib: int
) -> None:
    size = plan_size_gib(
        memory_gib * 1024,
        sizing="measured",
        factor=2,
        minimum_gib=8,
        dump_level=dump_level,
        expected_dump_bytes=expected_bytes,
    )
    assert size == size_gib
