"""EC2's own metrics of an instance: what the hypervisor counts in each period, published late. Owns no counter."""

import time
from datetime import UTC, datetime
from typing import Any

from lab.aws.state import AccountState
from lab.machines.machine import Counters

# Basic monitoring. Real: with detailed monitoring a minute.
PERIOD_SECONDS = 300
# From the end of a period until GetMetricData shows it. Inferred: AWS says "some minutes".
PUBLISHING_SECONDS = 120


def post_until_closed(state: AccountState) -> None:
    """CPUUtilization, EBSReadOps and EBSWriteOps of each machine that has counters; runs in a thread of its own.

    Real: of the network too, for which QEMU has no counters.
    """
    period = state.clock.scaled(PERIOD_SECONDS)
    before: dict[str, Counters] = {}
    # As in CloudWatch, periods begin at whole multiples of their length.
    end = (time.time() // period + 1) * period
    while state.pause(max(0.0, end - time.time())):
        now = _read(state)
        began = datetime.fromtimestamp(end - period, UTC)
        data = [
            datum
            for instance_id in now.keys() & before.keys()
            for datum in _data(instance_id, before[instance_id], now[instance_id], began, period)
        ]
        state.spawn("publish metrics", _publish, state, data)
        before, end = now, end + period


def _read(state: AccountState) -> dict[str, Counters]:
    read = {computer.instance_id: computer.machine.counters() for computer in list(state.computers.values())}
    return {instance_id: counters for instance_id, counters in read.items() if counters is not None}


def _data(
    instance_id: str, before: Counters, now: Counters, began: datetime, period_seconds: float
) -> list[dict[str, Any]]:
    cpu_seconds = now.cpu_seconds - before.cpu_seconds
    if cpu_seconds < 0:
        return []  # counted from another power-on
    share = cpu_seconds / (period_seconds * now.processors)
    values = (
        ("CPUUtilization", min(100.0, 100 * share), "Percent"),
        ("EBSReadOps", now.reads - before.reads, "Count"),
        ("EBSWriteOps", now.writes - before.writes, "Count"),
    )
    dimensions = [{"Name": "InstanceId", "Value": instance_id}]
    return [
        {"MetricName": name, "Value": float(value), "Timestamp": began, "Unit": unit, "Dimensions": dimensions}
        for name, value, unit in values
    ]


def _publish(state: AccountState, data: list[dict[str, Any]]) -> None:
    if data and state.pause(state.clock.scaled(PUBLISHING_SECONDS)):
        state.backend("cloudwatch").put_metric_data("AWS/EC2", data)
