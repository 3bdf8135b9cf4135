"""How the command line names sizes, and how a dump of a size is cut."""

import argparse

import pytest

from bench.__main__ import size_bytes
from bench.document import layout_for

MIB = 1024 * 1024


@pytest.mark.parametrize(("text", "expected"), [("64MiB", 64 * MIB), ("8GiB", 8192 * MIB), ("17", 17)])
def test_sizes_are_bytes_or_have_a_binary_unit(text: str, expected: int) -> None:
    assert size_bytes(text) == expected


@pytest.mark.parametrize("text", ["64MB", "", "-1", "1.5GiB"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        size_bytes(text)


@pytest.mark.parametrize("size", [1, 16 * MIB, 64 * MIB + 1, 8192 * MIB, 8192 * MIB + 5])
def test_batches_cover_every_part_once(size: int) -> None:
    layout = layout_for(size)
    numbers: list[int] = []
    while len(numbers) < layout.count:
        numbers += layout.batch_from(len(numbers) + 1)
    assert numbers == list(range(1, layout.count + 1))
    assert sum(layout.length_of(number) for number in numbers) == size
