"""Several faults at once, in random schedules: the invariants hold. `FAULT_SCHEDULES` says how many."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.synth import synthesize
from tests.faults.matrix import sites_of_scenarios
from tests.faults.schedules import run_schedules
from tests.faults.world import SETTINGS, World, deployed

RESULTS = Path(__file__).resolve().parents[2] / "results" / "faults.json"
SCHEDULES = int(os.environ.get("FAULT_SCHEDULES", "100"))

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with deployed(synthesize(tmp_path_factory.mktemp("schedules.out"), SETTINGS)) as world:
        yield world


def test_no_schedule_violates_an_invariant(world: World) -> None:
    violations = run_schedules(world, range(SCHEDULES), sites=sites_of_scenarios(world))

    RESULTS.parent.mkdir(exist_ok=True)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**known, "random_schedules": len(violations)}, indent=2) + "\n")
    assert len(violations) == SCHEDULES
    assert [each for found in violations.values() for each in found] == []
