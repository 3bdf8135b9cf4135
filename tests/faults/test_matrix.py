"""The fault matrix of a provisioning: whatever call of AWS goes wrong, the invariants hold."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.synth import synthesize
from tests.faults import fault_table
from tests.faults.matrix import Matrix, run_matrix, run_undisturbed
from tests.faults.scenarios import COLLECTIONS, SCENARIOS
from tests.faults.world import SETTINGS, World, deployed
from tests.infra.template import Template

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "fault-matrix.md"
RESULTS = ROOT / "results" / "faults.json"
ALL_DOCUMENTED = os.environ.get("FAULTS") == "all"

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("faults.out"), SETTINGS)


@pytest.fixture(scope="module")
def world(assembly: Path) -> Iterator[World]:
    with deployed(assembly) as world:
        yield world


@pytest.fixture(scope="module")
def matrix(world: World) -> Matrix:
    return run_matrix(world, SCENARIOS, all_documented=ALL_DOCUMENTED)


def test_every_cell_keeps_the_invariants(matrix: Matrix) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**known, **fault_table.counts(matrix)}, indent=2) + "\n")
    assert matrix.violations == [], "\n".join(matrix.violations)


def test_every_cell_comes_to_an_end(matrix: Matrix) -> None:
    assert [cell for cell in matrix.cells if not cell.ends] == []
    assert len(matrix.cells) > 100


def test_every_task_of_a_provisioning_has_cells(matrix: Matrix, assembly: Path) -> None:
    """A state that no scenario comes through needs one in scenarios.py."""
    tasks = {
        f"ProvisionDumpVolume / {state}" for state in Template.read(assembly).machine("ProvisionDumpVolume").tasks()
    }
    assert tasks - {site.caller for site in matrix.sites} == set()


@pytest.mark.parametrize("scenario", [*COLLECTIONS, "false_alarm"])
def test_an_undisturbed_collection_keeps_the_invariants(world: World, scenario: str) -> None:
    own = run_undisturbed(world, scenario)
    assert own["violations"] == []
    assert own["ends"]


@pytest.mark.skipif(ALL_DOCUMENTED, reason="the page has one error of each kind")
def test_the_page_is_up_to_date(matrix: Matrix) -> None:
    text = fault_table.page(matrix)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(text)
    assert PAGE.read_text() == text, "run UPDATE_SNAPSHOTS=1 pytest tests/faults and read the difference"
