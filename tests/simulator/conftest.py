"""One deployed stack for the matrix and the schedules; each run is a copy of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.synth import synthesize
from lab.simulator.world import SETTINGS, World, deployed


@pytest.fixture(scope="package")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("faults.out"), SETTINGS)


@pytest.fixture(scope="package")
def world(assembly: Path) -> Iterator[World]:
    with deployed(assembly) as world:
        yield world
