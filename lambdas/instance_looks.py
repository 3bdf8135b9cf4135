"""What is worth seeing of an instance that hangs, each as the bytes of a file. Owns no judgement and no storing."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lambdas.runtime import clients, moment

METRICS_HOURS = 3
_METRICS_PERIOD_SECONDS = 60
# Metric -> statistic, all of AWS/EC2 by InstanceId. What a type does not have comes back without values.
METRICS = {
    "StatusCheckFailed_Instance": "Maximum",
    "StatusCheckFailed_System": "Maximum",
    "StatusCheckFailed_AttachedEBS": "Maximum",
    "CPUUtilization": "Maximum",
    "CPUCreditBalance": "Minimum",
    "NetworkIn": "Sum",
    "NetworkOut": "Sum",
    "EBSReadOps": "Sum",
    "EBSWriteOps": "Sum",
    "EBSIOBalance%": "Minimum",
    "EBSByteBalance%": "Minimum",
}


@dataclass(frozen=True)
class Look:
    """One thing to see: `read` takes the instance's id; `name` is that of evidence_keys."""

    name: str
    content_type: str
    read: Callable[[str], bytes]


def _console(instance_id: str) -> bytes:
    answer = clients.ec2_in_haste().get_console_output(InstanceId=instance_id, Latest=True)
    return answer.get("Output", "").encode()


def _screenshot(instance_id: str) -> bytes:
    """A JPG. Without WakeUp, which presses a key: the instance is to be seen as it is."""
    return base64.b64decode(clients.ec2_in_haste().get_console_screenshot(InstanceId=instance_id)["ImageData"])


def _status(instance_id: str) -> bytes:
    """DescribeInstanceStatus' list of one: the checks, since when they fail, and scheduled events."""
    answer = clients.ec2_in_haste().describe_instance_status(InstanceIds=[instance_id], IncludeAllInstances=True)
    return _json(answer["InstanceStatuses"])


def _metrics(instance_id: str) -> bytes:
    """`{"CPUUtilization": {"stat": "Maximum", "values": [["2026-11-23T03:58:00Z", 99.7], …]}, …}`, oldest first."""
    now = moment.now()
    answer = clients.cloudwatch_in_haste().get_metric_data(
        MetricDataQueries=[
            {
                "Id": f"m{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/EC2",
                        "MetricName": name,
                        "Dimensions": [{"Name": "InstanceId", "Value": instance_id}],
                    },
                    "Period": _METRICS_PERIOD_SECONDS,
                    "Stat": stat,
                },
            }
            for number, (name, stat) in enumerate(METRICS.items())
        ],
        StartTime=now - timedelta(hours=METRICS_HOURS),
        EndTime=now,
        ScanBy="TimestampAscending",
    )
    found = {result["Id"]: result for result in answer["MetricDataResults"]}
    return _json(
        {
            name: {"stat": stat, "values": _values(found.get(f"m{number}", {}))}
            for number, (name, stat) in enumerate(METRICS.items())
        }
    )


def _values(result: Mapping[str, Any]) -> list[list[Any]]:
    points = zip(result.get("Timestamps", []), result.get("Values", []), strict=False)
    return [[moment.iso(at), value] for at, value in points]


def _json(value: Any) -> bytes:
    def as_text(other: Any) -> str:
        return moment.iso(other) if isinstance(other, datetime) else str(other)

    return (json.dumps(value, indent=2, default=as_text) + "\n").encode()


LOOKS = (
    Look("consoleBefore", "text/plain; charset=utf-8", _console),
    Look("screenshotBefore", "image/jpeg", _screenshot),
    Look("statusBefore", "application/json", _status),
    Look("metricsBefore", "application/json", _metrics),
)
