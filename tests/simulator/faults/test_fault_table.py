"""results/faults.json says what the fullest run counted, and what any run found."""

import json
from pathlib import Path

import pytest

from tests.simulator.faults import fault_table


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "results" / "faults.json"
    monkeypatch.setattr(fault_table, "RESULTS", path)
    return path


def note(of: str, number: int, violated: int = 0) -> None:
    fault_table.note_counts({of: number, f"{of}_violated": violated}, of=of)


def test_both_kinds_lie_side_by_side(results: Path) -> None:
    note("cells", 3000)
    note("random_schedules", 1000, violated=2)
    known = json.loads(results.read_text())
    assert (known["cells"], known["random_schedules"], known["violations"]) == (3000, 1000, 2)


def test_a_smaller_run_leaves_the_figures_of_a_fuller_one(results: Path) -> None:
    note("cells", 3000)
    note("cells", 900)
    assert json.loads(results.read_text())["cells"] == 3000


def test_a_smaller_run_that_found_something_is_not_silent(results: Path) -> None:
    note("cells", 3000)
    note("cells", 900, violated=1)
    known = json.loads(results.read_text())
    assert (known["cells"], known["violations"]) == (900, 1)
