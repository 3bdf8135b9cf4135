"""Searches CloudWatch for the hang alarms that ProvisionDumpVolume put."""

import re

from lambdas.runtime import clients
from lambdas.runtime.execution_input import INSTANCE_ID
from lambdas.sweep.found import Alarm
from lambdas.sweep.time_left import TimeLeft

_PREFIX = "hangdump-"
# hangdump-i-0123456789abcdef0
_NAME = re.compile(f"{_PREFIX}({INSTANCE_ID.pattern})")
_METRIC = ("AWS/EC2", "StatusCheckFailed_Instance")


def find_alarms(time_left: TimeLeft) -> tuple[Alarm, ...]:
    """Ours by name, metric and dimension: somebody's own alarm that only begins with our word is left alone."""
    pages = (
        clients.cloudwatch()
        .get_paginator("describe_alarms")
        .paginate(AlarmNamePrefix=_PREFIX, AlarmTypes=["MetricAlarm"])
    )
    found = []
    for page in time_left.pages("alarms", pages):
        for alarm in page["MetricAlarms"]:
            named = _NAME.fullmatch(alarm["AlarmName"])
            dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions", [])}
            if named is None or dimensions != {"InstanceId": named[1]}:
                continue
            if (alarm.get("Namespace"), alarm.get("MetricName")) != _METRIC:
                continue
            updated_at = alarm["AlarmConfigurationUpdatedTimestamp"]
            found.append(Alarm(name=alarm["AlarmName"], instance_id=named[1], updated_at=updated_at))
    return tuple(found)
