"""The demo's proof that the report names the task that it made spin, and the CPU on which that was found."""

from pathlib import Path

import pytest

from lab.demo.proof import Culprit, NotProven, prove_report
from lab.guest.hang import SPINNER
from lambdas.report import render
from lambdas.triage import Triage, triage
from lambdas.triage.model import Task

LOG = Path(__file__).parents[1] / "lambdas" / "triage" / "logs" / "nmi-user-space-real-guest.txt"


def _report(folder: Path, told: Triage) -> Path:
    page = folder / "report.html"
    page.write_text(render({"verdict": "captured"}, told), encoding="utf-8")
    return page


def test_a_report_of_the_guests_own_log_names_the_spinner_and_its_cpu(tmp_path: Path) -> None:
    told = triage(LOG.read_text())
    assert prove_report(_report(tmp_path, told), told.as_json(), spinner=SPINNER) == Culprit("hangdump-spinne", 0)


@pytest.mark.parametrize(
    "changed",
    [{"task": Task(name="swapper/0", pid=0)}, {"task": None}, {"crashing_cpu": None}],
    ids=["another task", "no task", "no CPU"],
)
def test_a_triage_that_blames_another_is_no_proof(tmp_path: Path, changed: dict[str, object]) -> None:
    told = triage(LOG.read_text()).model_copy(update=changed)
    with pytest.raises(NotProven, match=r"triage\.json names"):
        prove_report(_report(tmp_path, told), told.as_json(), spinner=SPINNER)


def test_a_page_that_does_not_say_what_the_triage_says_is_no_proof(tmp_path: Path) -> None:
    told = triage(LOG.read_text())
    page = _report(tmp_path, told.model_copy(update={"crashing_cpu": 1}))
    with pytest.raises(NotProven, match="does not mark hangdump-spinne on CPU 0"):
        prove_report(page, told.as_json(), spinner=SPINNER)
