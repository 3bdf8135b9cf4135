"""How the command line names sizes and runs."""

import argparse

import pytest

from bench.__main__ import run_count, size_bytes

MIB = 1024 * 1024


@pytest.mark.parametrize(("text", "expected"), [("64MiB", 64 * MIB), ("8GiB", 8192 * MIB), ("17", 17)])
def test_sizes_are_bytes_or_have_a_binary_unit(text: str, expected: int) -> None:
    assert size_bytes(text) == expected


@pytest.mark.parametrize("text", ["64MB", "", "-1", "1.5GiB", "0"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        size_bytes(text)


@pytest.mark.parametrize("text", ["0", "-1", "many", ""])
def test_no_runs_are_refused(text: str) -> None:
    assert run_count("3") == 3
    with pytest.raises(argparse.ArgumentTypeError):
        run_count(text)
