"""The fault matrix: whatever call of AWS goes wrong, the invariants hold. `FAULTS` says how deep: hang, kinds, all."""

import os
from pathlib import Path

import pytest

from lab.simulator.injection import Fault, Site
from lab.simulator.world import World
from tests.infra.template import MACHINES, Template
from tests.simulator.faults import fault_table
from tests.simulator.faults.documented_errors import THROTTLING
from tests.simulator.faults.matrix import Depth, Matrix, faults_at, run_matrix, run_once
from tests.simulator.faults.scenarios import SCENARIOS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "fault-matrix.md"
DEPTH = Depth(os.environ.get("FAULTS", Depth.HANG))
# Never retried: a second attempt may be a second interrupt.
THE_INTERRUPT = "CollectVmcore / Send diagnostic interrupt"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def matrix(original: World) -> Matrix:
    return run_matrix(original, SCENARIOS if DEPTH is not Depth.HANG else ["hang"], DEPTH)


def test_every_cell_keeps_the_invariants(matrix: Matrix) -> None:
    if DEPTH is Depth.ALL and os.environ.get("UPDATE_SNAPSHOTS"):
        fault_table.note_counts(fault_table.counts(matrix))
        PAGE.write_text(fault_table.page(matrix))
    assert matrix.violations == [], "\n".join(matrix.violations)


def test_every_cell_comes_to_an_end(matrix: Matrix) -> None:
    assert [cell for cell in matrix.cells if not cell.ends] == []
    assert len(matrix.cells) >= len(matrix.sites) > (150 if DEPTH is not Depth.HANG else 50)


# Each of them stops an execution or rings at a fixed second, and so meets it at another call.
_BY_THE_CLOCK = ("take_over", "take_over_retirement", "ring_while_enrolling", "ring_without_end")


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(each, marks=() if each == "hang" else pytest.mark.nightly)
        for each in SCENARIOS
        if each not in _BY_THE_CLOCK
    ],
)
def test_a_burst_of_throttling_at_every_state_changes_no_end(original: World, scenario: str) -> None:
    undisturbed = run_once(original, scenario, [])
    sites = [Site(*each) for each in undisturbed["seen"]]
    burst = [
        Fault(site, "refused", THROTTLING[site.service], times=3)
        for site in sites
        if site.is_state and site.caller != THE_INTERRUPT
    ]

    throttled = run_once(original, scenario, burst)

    assert throttled["violations"] == []
    assert throttled["ends"] == undisturbed["ends"]


@pytest.mark.nightly
@pytest.mark.parametrize("machine", MACHINES)
def test_every_task_has_cells(matrix: Matrix, assembly: Path, machine: str) -> None:
    """A state that no scenario comes through needs one in scenarios.py. To some states only a certain fault leads."""
    tasks = {f"{machine} / {state}" for state in Template.read(assembly).machine(machine).tasks()}
    assert tasks - {site.caller for site in matrix.sites} == set()


@pytest.mark.nightly
def test_every_function_has_cells(matrix: Matrix, assembly: Path) -> None:
    functions = {each["FunctionName"] for each in Template.read(assembly).of_type("AWS::Lambda::Function").values()}
    # It reads nothing from AWS.
    functions -= {"Hangdump-read_document_result"}
    assert {each.removeprefix("Hangdump-") for each in functions} - {site.caller for site in matrix.sites} == set()


def test_the_page_has_every_place_with_all_its_cells(matrix: Matrix) -> None:
    """The page is of all documented errors: `make faults` writes it."""
    rows = PAGE.read_text().splitlines()
    for site in matrix.sites:
        row = fault_table.head_of_row(site, len(faults_at(site, Depth.ALL)))
        assert any(each.startswith(row) for each in rows), f"{row}…: run `make faults` and read the difference"
