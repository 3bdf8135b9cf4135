"""GetMetricData over what the lab has posted."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, MetricDatum

from lab.aws.patches import Patches

_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Maximum": max,
    "Minimum": min,
    "Sum": sum,
    "Average": lambda values: sum(values) / len(values),
    "SampleCount": len,
}


def install(patches: Patches) -> None:
    """Real: periods begin at whole multiples of the period. moto: compares times with and without a zone, looks at each
    datum for each period, and forgets the namespace. Here: metrics by their statistics; expressions are not emulated.
    """

    def get_metric_data(
        backend: CloudWatchBackend,
        queries: list[dict[str, Any]],
        start_time: datetime,
        end_time: datetime,
        scan_by: str = "TimestampDescending",
    ) -> list[dict[str, Any]]:
        data = [datum for datum in list(backend.metric_data) if isinstance(datum, MetricDatum)]
        return [
            _result(
                query, data, (_aware(start_time), _aware(end_time)), is_newest_first=scan_by != "TimestampAscending"
            )
            for query in queries
        ]

    patches.replace(CloudWatchBackend, "get_metric_data", lambda _original: get_metric_data)


def _result(
    query: dict[str, Any], data: list[MetricDatum], span: tuple[datetime, datetime], *, is_newest_first: bool
) -> dict[str, Any]:
    if "MetricStat" not in query:
        raise NotImplementedError(f"GetMetricData: the expression of {query['Id']} is not emulated")
    asked = query["MetricStat"]
    metric, period = asked["Metric"], int(asked["Period"])
    dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions", [])}
    by_period: dict[int, list[float]] = defaultdict(list)
    for datum in data:
        at = _aware(datum.timestamp)
        is_asked = (datum.name, datum.namespace) == (metric["MetricName"], metric["Namespace"])
        if is_asked and span[0] <= at < span[1] and {d.name: d.value for d in datum.dimensions} == dimensions:
            by_period[int(at.timestamp()) // period * period].append(float(datum.value))
    begins = sorted(by_period, reverse=is_newest_first)
    return {
        "id": query["Id"],
        "label": metric["MetricName"],
        "timestamps": [datetime.fromtimestamp(begin, UTC) for begin in begins],
        "values": [_STATISTICS[asked["Stat"]](by_period[begin]) for begin in begins],
        "status_code": "Complete",
    }


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
