"""Reads the events that have an instance checked into one shape: which alarm, since when, for which instance.

Knows the shapes: a Lambda alarm action and EventBridge's `CloudWatch Alarm State Change`, of metric, metric math and
composite alarms and of one contributor to an alarm over a fleet; and watch_fleet's event. `resolve` looks up what
triggered a composite.
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
_WATCH_FLEET = "hangdump.watch_fleet"
# CloudWatch's clock may be ahead of the function's. Lambda keeps an event for six hours, EventBridge for a day.
_CLOCK_SECONDS, _OLDEST_SECONDS = 60, 2 * 24 * 3600
# A composite of composites of …; CloudWatch itself allows no cycle.
_MAX_DEPTH = 5

DescribeAlarms = Callable[[Sequence[str]], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One state change of one alarm. `instance_ids` is final once it is resolved."""

    name: str
    arn: str
    account_id: str
    region: str
    state: str
    changed_at: datetime
    instance_ids: frozenset[str] = frozenset()
    triggering_alarm_arns: tuple[str, ...] = ()
    # Why its actions are not to run, as the event says; EventBridge gets the event of a muted alarm too.
    mute: str = ""
    # For an event of watch_fleet: the hang, which may be checked several times.
    hang: str = ""

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
    """The alarm of an event, as far as the event itself names it; raises InvalidInput on any other event."""
    try:
        if event.get("source") == _WATCH_FLEET:
            return _parse_check(event)
        return _parse_state_change(event) if "detail" in event else _parse_alarm_action(event)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise InvalidInput(
            f"The event (source {event.get('source')!r}, keys {', '.join(sorted(event))}) is no CloudWatch alarm:"
            f" {type(problem).__name__} {problem}.",
            "Invoke respond_to_hang from an alarm action or an EventBridge rule on CloudWatch Alarm State Change.",
        ) from problem


def check_event(instance_id: str, hang: str, *, at: datetime, function_arn: str) -> dict[str, Any]:
    """The event with which watch_fleet has one instance checked."""
    _, _, _, region, account_id, *_ = function_arn.split(":")
    return {
        "source": _WATCH_FLEET,
        "account": account_id,
        "region": region,
        "time": moment.iso(at),
        "instanceId": instance_id,
        "hang": hang,
    }


def _parse_check(event: Mapping[str, Any]) -> Alarm:
    return Alarm(
        name="watch_fleet",
        arn="",
        account_id=event["account"],
        region=event["region"],
        state="ALARM",
        changed_at=moment.parse(event["time"]),
        instance_ids=frozenset({event["instanceId"]}),
        hang=event["hang"],
    )


def require_recent(alarm: Alarm, now: datetime) -> None:
    """Raises InvalidInput for a time that no delivery can have: it would become the id of an incident."""
    age = (now - alarm.changed_at).total_seconds()
    if not -_CLOCK_SECONDS <= age <= _OLDEST_SECONDS:
        raise InvalidInput(
            f"The alarm {alarm.name} ({alarm.arn}) says that its state changed at"
            f" {alarm.changed_at.isoformat()}, {age:.0f} s ago.",
            "If the instance hangs, start CollectVmcore with interrupt: true.",
        )


def resolve(alarm: Alarm, describe_alarms: DescribeAlarms) -> Alarm:
    """A composite alarm with the instances of the children that triggered it; others as they are."""
    instance_ids = set(alarm.instance_ids)
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
            instance_ids |= _in_described_queries(child.get("Metrics", []))
    return replace(alarm, instance_ids=frozenset(instance_ids), triggering_alarm_arns=())


def _parse_alarm_action(event: Mapping[str, Any]) -> Alarm:
    data = event["alarmData"]
    return _alarm(event, name=data["alarmName"], arn=event["alarmArn"], account_id=event["accountId"], data=data)


def _parse_state_change(event: Mapping[str, Any]) -> Alarm:
    data = event["detail"]
    (arn,) = event["resources"]
    return _alarm(event, name=data["alarmName"], arn=arn, account_id=event["account"], data=data)


def _alarm(event: Mapping[str, Any], *, name: str, arn: str, account_id: str, data: Mapping[str, Any]) -> Alarm:
    state = data["state"]
    # One alarm over a fleet: the contributor is the instance, whatever else the configuration says.
    if event.get("detail-type") == _CONTRIBUTOR or "alarmContributor" in data:
        attributes = data["alarmContributor"]["attributes"]
        instance_ids = frozenset({attributes["InstanceId"]} if "InstanceId" in attributes else ())
    else:
        instance_ids = _in_queries(data.get("configuration", {}).get("metrics", []))
    return Alarm(
        name=name,
        arn=arn,
        account_id=account_id,
        region=event["region"],
        state=state["value"],
        changed_at=moment.parse(state["timestamp"]),
        instance_ids=instance_ids,
        triggering_alarm_arns=_triggering_alarms(state.get("reasonData")),
        mute=_mute(data),
    )


def _mute(data: Mapping[str, Any]) -> str:
    """A mute rule shows as `muteDetail`; a composite alarm's suppressor alarm or its wait as `actionsSuppressedBy`."""
    if data.get("muteDetail"):
        return f"a mute rule holds for {data['alarmName']} ({json.dumps(data['muteDetail'], sort_keys=True)})"
    suppressed_by = data["state"].get("actionsSuppressedBy")
    return f"the actions of {data['alarmName']} are suppressed ({suppressed_by})" if suppressed_by else ""


def _in_queries(queries: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The instances in an event's `configuration.metrics`."""
    dimensions = [query.get("metricStat", {}).get("metric", {}).get("dimensions", {}) for query in queries]
    return frozenset(each["InstanceId"] for each in dimensions if "InstanceId" in each)


def _in_described_queries(queries: Sequence[Mapping[str, Any]]) -> set[str]:
    """The same of DescribeAlarms' `Metrics`, whose names are spelled otherwise."""
    metrics = [query.get("MetricStat", {}).get("Metric", {}) for query in queries]
    return {d["Value"] for metric in metrics for d in metric.get("Dimensions", []) if d["Name"] == "InstanceId"}


def _triggering_alarms(reason_data: str | None) -> tuple[str, ...]:
    """Of {"triggeringAlarms":[{"arn":"…","state":{"value":"ALARM","timestamp":"…"}}]}: those that are in ALARM."""
    if not reason_data:
        return ()
    alarms = json.loads(reason_data).get("triggeringAlarms", [])
    return tuple(alarm["arn"] for alarm in alarms if alarm.get("state", {}).get("value", "ALARM") == "ALARM")


def _name_of(arn: str) -> str:
    # arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a name that may hold: colons
    return arn.split(":", 6)[6]
