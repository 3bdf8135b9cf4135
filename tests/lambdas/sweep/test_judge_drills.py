"""Which combinations of the fleet a sweep has drilled."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lambdas.runtime import moment
from lambdas.sweep.case import Action, Policy
from lambdas.sweep.found import Combination, Found
from lambdas.sweep.judge import judge
from tests.lambdas.account import NOW


def days_ago(days: float) -> str:
    return moment.iso(NOW - timedelta(days=days))


NEW = Combination(key="proof#ami-1#m5#6.1#x", instance_id="i-0123456789abcdef0", since=days_ago(1))
POLICY = Policy(drills=2, drill_every=timedelta(days=30))


def drilled(*combinations: Combination, policy: Policy = POLICY) -> list[str]:
    findings = judge(Found(combinations=combinations), now=NOW, policy=policy)
    assert {(each.action, each.is_quiet) for each in findings} <= {(Action.DRILL, True)}
    return [each.proof for each in findings]


@pytest.mark.parametrize(
    ("proven_at", "begun_at", "is_due"),
    [
        pytest.param("", "", True, id="never"),
        pytest.param(days_ago(29), "", False, id="proven"),
        pytest.param(days_ago(31), "", True, id="proven long ago"),
        pytest.param("", days_ago(29), False, id="failed"),
        pytest.param("", days_ago(31), True, id="failed long ago"),
        pytest.param(days_ago(31), days_ago(2), False, id="proven long ago, failed since"),
    ],
)
def test_a_combination_is_drilled_when_the_last_drill_is_long_ago_however_it_ended(
    proven_at: str, begun_at: str, is_due: bool
) -> None:
    assert bool(drilled(replace(NEW, proven_at=proven_at, begun_at=begun_at))) is is_due


def test_the_newest_come_first_and_no_more_than_may_be_begun() -> None:
    made = [replace(NEW, key=f"proof#{days}", since=days_ago(days)) for days in (5, 1, 9)]
    assert drilled(*made) == ["proof#1", "proof#5"]
    assert drilled(*made, policy=replace(POLICY, drills=0)) == []
