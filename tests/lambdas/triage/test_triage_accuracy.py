"""The page of the triage's accuracy tells what is so. UPDATE_SNAPSHOTS=1 writes it."""

import os
from dataclasses import replace

import pytest

from lambdas.triage import CrashClass, triage
from tests.lambdas.triage.triage_accuracy import PAGE, Grade, grade, page
from tests.lambdas.triage.triage_cases import CASES, read


def test_the_page_matches_the_findings() -> None:
    today = page()
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(today)
    assert PAGE.read_text() == today, "run this file with UPDATE_SNAPSHOTS=1 and commit docs/triage-accuracy.md"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Grade.RIGHT),
        ({"cpu": 7}, Grade.PARTLY),
        ({"says": ("a phrase that no sentence has",)}, Grade.PARTLY),
        ({"task": ("other", 1)}, Grade.PARTLY),
        ({"task": ("other", 1), "blamed": "other"}, Grade.WRONG),
        ({"crash_class": CrashClass.SYSRQ}, Grade.WRONG),
    ],
)
def test_grades_what_is_wrong_in_an_answer(change: dict[str, object], expected: Grade) -> None:
    case = replace(CASES["hung-task"], **change)  # type: ignore[arg-type]
    assert grade(triage(read("hung-task")), case) == expected
