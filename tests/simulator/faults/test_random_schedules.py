"""Several faults at once, in random schedules: the invariants hold. `FAULT_SCHEDULES` says how many."""

import os

import pytest

from lab.simulator.world import World
from tests.simulator.faults import fault_table
from tests.simulator.faults.matrix import sites_of_scenarios
from tests.simulator.faults.schedules import run_schedules

SCHEDULES = int(os.environ.get("FAULT_SCHEDULES", "20"))

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(7200)]


def test_no_schedule_violates_an_invariant(original: World) -> None:
    violations = run_schedules(original, range(SCHEDULES), sites=sites_of_scenarios(original))

    assert len(violations) == SCHEDULES
    violated = [each for found in violations.values() for each in found]
    if os.environ.get("UPDATE_SNAPSHOTS"):
        fault_table.note_counts({"random_schedules": SCHEDULES, "random_schedules_violated": len(violated)})
    assert violated == [], "\n".join(violated)
