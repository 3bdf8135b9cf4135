"""Reads alarms that reboot, recover, stop or terminate an instance, and whether an alarm is muted. Judges nothing."""

import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambdas.runtime import clients
from lambdas.runtime.tags import hang_alarm_name

# A hang fails these checks. An alarm on the system check is no rival: if that check fails, nothing is interrupted.
METRICS = ("StatusCheckFailed", "StatusCheckFailed_Instance", "StatusCheckFailed_AttachedEBS")
# arn:aws:automate:eu-west-1:ec2:reboot
# arn:aws:swf:eu-west-1:123456789012:action/actions/AWS_EC2.InstanceId.Reboot/1.0
_ACTION = re.compile(
    r"arn:[a-z-]+:(?:automate:[a-z0-9-]+:ec2:|swf:[a-z0-9-]+:\d*:action/actions/AWS_EC2\.InstanceId\.)"
    r"(?P<verb>reboot|recover|stop|terminate)(?:/1\.0)?",
    re.IGNORECASE,
)


# DescribeAlarms has 9 requests a second in an account, and the gate reads with it whether an alarm is muted.
_SECONDS_BETWEEN_PAGES = 0.25


@dataclass(frozen=True)
class RivalAlarm:
    """An alarm that acts on the instance because of the same hang."""

    name: str
    verbs: tuple[str, ...]
    # In ALARM with its actions on: it has acted, or is acting now.
    has_fired: bool

    def __str__(self) -> str:
        return f"{self.name}: {', '.join(self.verbs)}"


def read_rival_alarms(instance_id: str, metric: str) -> tuple[RivalAlarm, ...]:
    """The rival alarms on one of METRICS. CloudWatch allows such actions neither for metric math nor for composites.

    Raises ClientError.
    """
    answer = clients.cloudwatch().describe_alarms_for_metric(
        Namespace="AWS/EC2", MetricName=metric, Dimensions=[{"Name": "InstanceId", "Value": instance_id}]
    )
    rivals = (_rival(alarm, instance_id) for alarm in answer["MetricAlarms"])
    return tuple(rival for rival in rivals if rival is not None)


def list_rival_alarms() -> dict[str, list[str]]:
    """The rival alarms of all instances, as "name: reboot", by instance: for whoever asks for many at once.

    Raises ClientError.
    """
    found: dict[str, set[str]] = defaultdict(set)
    pages = clients.cloudwatch().get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm"])
    for number, page in enumerate(pages):
        if number:
            time.sleep(_SECONDS_BETWEEN_PAGES)
        for alarm in page["MetricAlarms"]:
            if alarm.get("Namespace") != "AWS/EC2" or alarm.get("MetricName") not in METRICS:
                continue
            for dimension in alarm.get("Dimensions", []):
                rival = _rival(alarm, dimension["Value"])
                if rival is not None:
                    found[dimension["Value"]].add(str(rival))
    return {instance_id: sorted(names) for instance_id, names in found.items()}


def read_mute(instance_id: str, alarm_name: str) -> str:
    """Why the alarm or the instance's hang alarm must not act now; empty if both may. Raises ClientError.

    CloudWatch does not run the actions of a muted alarm, but still sends its state change to EventBridge.
    """
    answer = clients.cloudwatch().describe_alarms(
        AlarmNames=sorted({alarm_name, hang_alarm_name(instance_id)}),
        AlarmTypes=["MetricAlarm", "CompositeAlarm"],
        MaxRecords=100,
    )
    alarms: Sequence[Mapping[str, Any]] = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
    for alarm in alarms:
        if alarm.get("ActionsEnabled") is False:
            return f"the actions of {alarm['AlarmName']} are disabled"
        if alarm.get("ActionsSuppressedBy"):
            return f"the actions of {alarm['AlarmName']} are suppressed ({alarm['ActionsSuppressedBy']})"
    return ""


def _rival(alarm: Mapping[str, Any], instance_id: str) -> RivalAlarm | None:
    if {"Name": "InstanceId", "Value": instance_id} not in alarm.get("Dimensions", []):
        return None
    actions = [_ACTION.fullmatch(action) for action in alarm.get("AlarmActions", [])]
    verbs = tuple(sorted({action["verb"].lower() for action in actions if action}))
    if not verbs or not alarm.get("ActionsEnabled", True):
        return None
    return RivalAlarm(alarm["AlarmName"], verbs, has_fired=alarm.get("StateValue") == "ALARM")
