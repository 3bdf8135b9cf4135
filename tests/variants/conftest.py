"""The assembly of the simulator's tests."""

from pathlib import Path

import pytest

from lab.simulator.world import SETTINGS
from tests.conftest import synthesize_once


@pytest.fixture(scope="package")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize_once(tmp_path_factory, "simulator.out", SETTINGS)
