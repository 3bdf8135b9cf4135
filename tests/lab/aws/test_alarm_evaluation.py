"""When alarms change: the examples of CloudWatch's own documentation, and aggregation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lab.aws.alarm_evaluation import Rule, evaluate

NOW = datetime(2026, 11, 23, 4, 0, 30, tzinfo=UTC)
RULE = Rule(60, 3, 3, 1.0, "GreaterThanOrEqualToThreshold", "Maximum")


def _data(row: str) -> list[tuple[datetime, float]]:
    """Five periods, oldest first: X breaches, 0 does not, - is missing."""
    end = NOW.replace(second=0)
    return [
        (end - timedelta(seconds=60 * (5 - index) - 10), float(cell == "X"))
        for index, cell in enumerate(row.split())
        if cell != "-"
    ]


@pytest.mark.parametrize(
    ("row", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", "OK", "OK", "OK", "OK"),
        ("0 - - - -", "OK", "OK", "OK", "OK"),
        ("- - - - -", "INSUFFICIENT_DATA", None, "ALARM", "OK"),
        ("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("- - X - -", "ALARM", None, "ALARM", "OK"),
    ],
)
def test_missing_data_are_treated_as_documented(
    row: str, missing: str, ignore: str | None, breaching: str, not_breaching: str
) -> None:
    found = [
        evaluate(replace(RULE, treat_missing_data=treatment), _data(row), now=NOW).state
        for treatment in ("missing", "ignore", "breaching", "notBreaching")
    ]
    assert found == [missing, ignore, breaching, not_breaching]


def test_the_period_that_is_not_over_does_not_count() -> None:
    data = [*_data("0 0 0 0 0"), (NOW, 1.0)]
    assert evaluate(replace(RULE, evaluation_periods=1, datapoints_to_alarm=1), data, now=NOW).state == "OK"


def test_two_of_three_are_enough_when_two_are_asked_for() -> None:
    assert evaluate(replace(RULE, datapoints_to_alarm=2), _data("0 0 X 0 X"), now=NOW).state == "ALARM"
    assert evaluate(RULE, _data("0 0 X 0 X"), now=NOW).state == "OK"


@pytest.mark.parametrize(
    ("statistic", "value"), [("Maximum", 4), ("Minimum", 1), ("Average", 2.5), ("Sum", 5), ("SampleCount", 2)]
)
def test_data_of_one_period_are_aggregated(statistic: str, value: float) -> None:
    end = NOW.replace(second=0)
    data = [(end - timedelta(seconds=5), 1.0), (end - timedelta(seconds=50), 4.0)]
    rule = replace(RULE, statistic=statistic, evaluation_periods=1, datapoints_to_alarm=1)
    assert evaluate(rule, data, now=NOW).points == (value,)
