"""Tests that are repeated with many seeds: a few seeds in each run, all of them every night."""

import pytest
from _pytest.mark import ParameterSet


def seeds(number: int, *, quick: int) -> list[ParameterSet]:
    """The first `quick` of them are for every run."""
    return [pytest.param(seed, marks=[pytest.mark.nightly] if seed >= quick else []) for seed in range(number)]
