"""When a CloudWatch alarm changes its state: pure. Owns no alarm and no metric."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Maximum": max,
    "Minimum": min,
    "Average": lambda values: sum(values) / len(values),
    "Sum": sum,
    "SampleCount": len,
}
# CloudWatch looks back further than EvaluationPeriods when data are missing; by how much is not documented.
EXTRA_PERIODS = 2

Datum = tuple[datetime, float]


@dataclass(frozen=True)
class Rule:
    """What an alarm compares with what; `period_seconds` is the period as the lab runs it."""

    period_seconds: float
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison_operator: str
    statistic: str
    treat_missing_data: str = "missing"


@dataclass(frozen=True)
class Verdict:
    """The state the data ask for; None keeps the state there is."""

    state: str | None
    points: tuple[float, ...]


def evaluate(rule: Rule, data: Sequence[Datum], *, now: datetime) -> Verdict:
    """Evaluate whole periods only, newest last, as CloudWatch does with TreatMissingData."""
    points = _points(rule, data, now)
    present = [point for point in points if point is not None]
    breaches = _OPERATORS[rule.comparison_operator]
    wanted = rule.evaluation_periods
    # Enough real data: the missing are ignored altogether.
    recent = present[-wanted:]
    breaching = sum(breaches(point, rule.threshold) for point in recent)
    filled = wanted - len(recent)
    if not filled:
        return _verdict(breaching >= rule.datapoints_to_alarm, recent)
    match rule.treat_missing_data:
        case "breaching":
            return _verdict(breaching + filled >= rule.datapoints_to_alarm, recent)
        case "notBreaching":
            return _verdict(breaching >= rule.datapoints_to_alarm, recent)
        case "ignore":
            return Verdict("OK", tuple(recent)) if breaching < len(recent) else Verdict(None, tuple(recent))
        case "missing" if not recent:
            return Verdict("INSUFFICIENT_DATA", ())
        case "missing":
            # Documented: "- - X - -" is ALARM, "0 - - - -" is OK.
            return _verdict(breaching >= min(rule.datapoints_to_alarm, len(recent)), recent)
        case other:
            raise ValueError(f"TreatMissingData {other!r} is none of breaching, notBreaching, ignore, missing")


def _verdict(is_alarm: bool, points: Sequence[float]) -> Verdict:
    return Verdict("ALARM" if is_alarm else "OK", tuple(points))


def _points(rule: Rule, data: Sequence[Datum], now: datetime) -> list[float | None]:
    """One value for each period of the evaluation range, oldest first; None where there is no datum."""
    end = datetime.fromtimestamp(now.timestamp() // rule.period_seconds * rule.period_seconds, tz=now.tzinfo)
    statistic = _STATISTICS[rule.statistic]
    points: list[float | None] = []
    for back in range(rule.evaluation_periods + EXTRA_PERIODS, 0, -1):
        start = end - timedelta(seconds=back * rule.period_seconds)
        stop = start + timedelta(seconds=rule.period_seconds)
        values = [value for time, value in data if start <= time < stop]
        points.append(statistic(values) if values else None)
    return points
