"""Reads CloudWatch's alarm events into one shape: which alarm, since when, for which instance.

Owns the shapes: a Lambda alarm action, EventBridge's `CloudWatch Alarm State Change` (both for metric, metric math and
composite alarms) and `CloudWatch Alarm Contributor State Change`. `resolve` looks up what triggered a composite.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lambdas.runtime import moment
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.execution_input import INSTANCE_ID

_CONTRIBUTOR = "CloudWatch Alarm Contributor State Change"
# A composite of composites of …; CloudWatch itself allows no cycle.
_MAX_DEPTH = 5

DescribeAlarms = Callable[[Sequence[str]], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One state change of one alarm. `instance_ids` and `is_on_status_check` are final once it is resolved."""

    name: str
    arn: str
    account_id: str
    region: str
    state: str
    changed_at: datetime
    instance_ids: frozenset[str] = frozenset()
    is_on_status_check: bool = False
    triggering_alarm_arns: tuple[str, ...] = ()
    # Why its actions are not to run, as the event says; EventBridge hears of an alarm all the same.
    mute: str = ""

    def instance_id(self) -> str:
        """The one instance that the alarm is about; raises InvalidInput when there is none or more than one."""
        remedy = (
            "Make the alarm's metrics carry the dimension InstanceId of exactly one instance,"
            " or start CollectVmcore by hand."
        )
        if not self.instance_ids:
            raise InvalidInput(f"No InstanceId in the alarm {self.name} ({self.arn}).", remedy)
        if len(self.instance_ids) > 1:
            named = ", ".join(sorted(self.instance_ids))
            raise InvalidInput(f"The alarm {self.name} ({self.arn}) names several instances: {named}.", remedy)
        (only,) = self.instance_ids
        if not INSTANCE_ID.fullmatch(only):
            raise InvalidInput(f"The alarm {self.name} ({self.arn}) has InstanceId {only!r}, which is none.", remedy)
        return only


def parse(event: Mapping[str, Any]) -> Alarm:
    """The alarm of an event, as far as the event itself tells; raises InvalidInput on any other event."""
    try:
        return _parse_state_change(event) if "detail" in event else _parse_alarm_action(event)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise InvalidInput(
            f"The event (source {event.get('source')!r}, keys {', '.join(sorted(event))}) is no CloudWatch alarm:"
            f" {type(problem).__name__} {problem}.",
            "Invoke respond_to_hang from an alarm action or an EventBridge rule on CloudWatch Alarm State Change.",
        ) from problem


def resolve(alarm: Alarm, describe_alarms: DescribeAlarms) -> Alarm:
    """A composite alarm with the instances and metrics of the children that triggered it; others as they are."""
    instance_ids, is_on_status_check = set(alarm.instance_ids), alarm.is_on_status_check
    pending = alarm.triggering_alarm_arns
    for _ in range(_MAX_DEPTH):
        if not pending:
            break
        children = describe_alarms([_name_of(arn) for arn in pending])
        pending = ()
        for child in children:
            if "AlarmRule" in child:
                pending += _triggering_alarms(child.get("StateReasonData"))
                continue
            instance_ids |= {d["Value"] for d in child.get("Dimensions", []) if d["Name"] == "InstanceId"}
            is_on_status_check |= _is_status_check(child.get("Namespace"), child.get("MetricName"))
            in_queries = _read_described_queries(child.get("Metrics", []))
            instance_ids |= in_queries[0]
            is_on_status_check |= in_queries[1]
    return replace(
        alarm,
        instance_ids=frozenset(instance_ids),
        is_on_status_check=is_on_status_check,
        triggering_alarm_arns=(),
    )


def _parse_alarm_action(event: Mapping[str, Any]) -> Alarm:
    data = event["alarmData"]
    return _alarm(event, name=data["alarmName"], arn=event["alarmArn"], account_id=event["accountId"], data=data)


def _parse_state_change(event: Mapping[str, Any]) -> Alarm:
    data = event["detail"]
    (arn,) = event["resources"]
    alarm = _alarm(event, name=data["alarmName"], arn=arn, account_id=event["account"], data=data)
    if event["detail-type"] != _CONTRIBUTOR:
        return alarm
    # One alarm over a fleet: the contributor is the instance, whatever else the configuration says.
    attributes = data["alarmContributor"]["attributes"]
    contributor = frozenset({attributes["InstanceId"]} if "InstanceId" in attributes else ())
    return replace(alarm, instance_ids=contributor)


def _alarm(event: Mapping[str, Any], *, name: str, arn: str, account_id: str, data: Mapping[str, Any]) -> Alarm:
    state = data["state"]
    instance_ids, is_on_status_check = _read_queries(data.get("configuration", {}).get("metrics", []))
    return Alarm(
        name=name,
        arn=arn,
        account_id=account_id,
        region=event["region"],
        state=state["value"],
        changed_at=moment.parse(state["timestamp"]),
        instance_ids=instance_ids,
        is_on_status_check=is_on_status_check,
        triggering_alarm_arns=_triggering_alarms(state.get("reasonData")),
        mute=_mute(data),
    )


def _mute(data: Mapping[str, Any]) -> str:
    """A mute rule shows as `muteDetail`; a composite alarm's suppressor alarm or its wait as `actionsSuppressedBy`."""
    if data.get("muteDetail"):
        return f"a mute rule holds for {data['alarmName']} ({json.dumps(data['muteDetail'], sort_keys=True)})"
    suppressed_by = data["state"].get("actionsSuppressedBy")
    return f"the actions of {data['alarmName']} are suppressed ({suppressed_by})" if suppressed_by else ""


def _read_queries(queries: Sequence[Mapping[str, Any]]) -> tuple[frozenset[str], bool]:
    """Of an event's `configuration.metrics`: all InstanceIds, and whether any is on a status check."""
    instance_ids: set[str] = set()
    is_on_status_check = False
    for query in queries:
        metric = query.get("metricStat", {}).get("metric", {})
        dimensions = metric.get("dimensions", {})
        if "InstanceId" in dimensions:
            instance_ids.add(dimensions["InstanceId"])
        is_on_status_check |= _is_status_check(metric.get("namespace"), metric.get("name"))
        # SELECT MAX(StatusCheckFailed_Instance) FROM SCHEMA("AWS/EC2", InstanceId) GROUP BY InstanceId
        expression = query.get("expression", "")
        is_on_status_check |= "StatusCheckFailed" in expression
    return frozenset(instance_ids), is_on_status_check


def _read_described_queries(queries: Sequence[Mapping[str, Any]]) -> tuple[frozenset[str], bool]:
    """The same of DescribeAlarms' `Metrics`, whose names are spelled otherwise."""
    return _read_queries(
        [
            {
                "expression": query.get("Expression", ""),
                "metricStat": {
                    "metric": {
                        "namespace": metric.get("Namespace"),
                        "name": metric.get("MetricName"),
                        "dimensions": {d["Name"]: d["Value"] for d in metric.get("Dimensions", [])},
                    }
                },
            }
            for query in queries
            for metric in [query.get("MetricStat", {}).get("Metric", {})]
        ]
    )


def _is_status_check(namespace: str | None, metric: str | None) -> bool:
    return namespace == "AWS/EC2" and (metric or "").startswith("StatusCheckFailed")


def _triggering_alarms(reason_data: str | None) -> tuple[str, ...]:
    """Of {"triggeringAlarms":[{"arn":"…","state":{"value":"ALARM","timestamp":"…"}}]}: those that are in ALARM."""
    if not reason_data:
        return ()
    alarms = json.loads(reason_data).get("triggeringAlarms", [])
    return tuple(alarm["arn"] for alarm in alarms if alarm.get("state", {}).get("value", "ALARM") == "ALARM")


def _name_of(arn: str) -> str:
    # arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a name that may hold: colons
    return arn.split(":", 6)[6]
