"""Which instance, which alarm, since when: from every shape in which CloudWatch tells."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lambdas.respond.alarm_event import Alarm, parse, resolve
from lambdas.runtime import moment
from lambdas.runtime.errors import InvalidInput
from tests.lambdas.account import ACCOUNT_ID, REGION
from tests.lambdas.alarm_events import (
    HEARTBEAT,
    alarm_action,
    arn,
    contributor_action,
    contributor_change,
    query,
    state_change,
)

INSTANCE = "i-0123456789abcdef0"
OTHER = "i-0fedcba9876543210"


def no_children(names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    raise AssertionError(f"nobody asked for {names}")


def read(event: dict[str, Any]) -> Alarm:
    return resolve(parse(event), no_children)


MATH = {"id": "e1", "expression": "m1 + m2", "returnData": True}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(alarm_action(query(INSTANCE)), id="lambda-action-single-metric"),
        pytest.param(alarm_action(MATH, query(INSTANCE), query(INSTANCE, HEARTBEAT, "m2")), id="lambda-action-math"),
        pytest.param(state_change(query(INSTANCE)), id="eventbridge-single-metric"),
        pytest.param(state_change(MATH, query(INSTANCE)), id="eventbridge-math"),
        pytest.param(contributor_change({"InstanceId": INSTANCE}), id="eventbridge-contributor"),
        pytest.param(contributor_action({"InstanceId": INSTANCE}), id="lambda-action-contributor"),
    ],
)
def test_finds_instance_account_region_and_time(event: dict[str, Any]) -> None:
    alarm = read(event)
    assert alarm.instance_id() == INSTANCE
    assert (alarm.account_id, alarm.region, alarm.state) == (ACCOUNT_ID, REGION, "ALARM")
    assert moment.iso(alarm.changed_at) == "2026-11-23T04:00:00Z"


@pytest.mark.parametrize("shape", [alarm_action, state_change])
def test_a_composite_alarm_is_about_the_instance_of_the_children_that_triggered_it(shape: Any) -> None:
    described: dict[str, dict[str, Any]] = {
        "check": {
            "AlarmName": "check",
            "Namespace": "AWS/EC2",
            "MetricName": "StatusCheckFailed_Instance",
            "Dimensions": [{"Name": "InstanceId", "Value": INSTANCE}],
        },
        "math": {
            "AlarmName": "math",
            "Metrics": [
                {
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "Custom/App",
                            "MetricName": "Heartbeat",
                            "Dimensions": [{"Name": "InstanceId", "Value": INSTANCE}],
                        }
                    }
                },
                {"Expression": "m1 * 2"},
            ],
        },
    }
    alarm = resolve(parse(shape(children=("check", "math"))), lambda names: [described[name] for name in names])
    assert alarm.instance_id() == INSTANCE


def test_a_composite_of_composites_is_followed_down_to_the_metric() -> None:
    inner = {"triggeringAlarms": [{"arn": arn("with: colons"), "state": {"value": "ALARM"}}]}
    described: dict[str, dict[str, Any]] = {
        "inner": {"AlarmRule": "ALARM(leaf)", "StateReasonData": json.dumps(inner)},
        "with: colons": {
            "Namespace": "Custom/App",
            "MetricName": "Heartbeat",
            "Dimensions": [{"Name": "InstanceId", "Value": INSTANCE}],
        },
    }
    alarm = resolve(parse(alarm_action(children=("inner",))), lambda names: [described[name] for name in names])
    assert alarm.instance_id() == INSTANCE


def test_children_of_a_composite_that_are_ok_do_not_count() -> None:
    event = alarm_action(children=("bad", "good"))
    reason = json.loads(event["alarmData"]["state"]["reasonData"])
    reason["triggeringAlarms"][1]["state"]["value"] = "OK"
    event["alarmData"]["state"]["reasonData"] = json.dumps(reason)
    assert parse(event).triggering_alarm_arns == (arn("bad"),)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        pytest.param(alarm_action(query(None), name="fleet-cpu"), "No InstanceId in the alarm fleet-cpu", id="none"),
        pytest.param(
            alarm_action(query(INSTANCE), query(OTHER, query_id="m2"), name="two"),
            f"The alarm two ({arn('two')}) names several instances: {INSTANCE}, {OTHER}",
            id="several",
        ),
        pytest.param(alarm_action(query("web-1"), name="odd"), "has InstanceId 'web-1', which is none", id="no-id"),
        pytest.param(contributor_change({"AutoScalingGroupName": "web"}), "No InstanceId", id="other-contributor"),
    ],
)
def test_an_alarm_without_exactly_one_instance_is_refused_by_its_name(event: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read(event).instance_id()
    assert said in str(raised.value)
    assert "Make the alarm's metrics carry the dimension InstanceId" in str(raised.value)


def _without(event: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = event
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return event


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"source": "aws.s3", "Records": []}, id="another-service"),
        pytest.param({}, id="empty"),
        pytest.param({"source": "aws.ec2", "detail": {"state": "stopped"}}, id="another-detail"),
        pytest.param(_without(alarm_action(query(INSTANCE)), "alarmData", "state"), id="no-state"),
        pytest.param(_without(alarm_action(query(INSTANCE)), "alarmData", "state", "timestamp"), id="no-time"),
        pytest.param(alarm_action(query(INSTANCE), at="yesterday"), id="time-is-none"),
        pytest.param(_without(contributor_change({"InstanceId": INSTANCE}), "detail", "alarmContributor"), id="whose"),
    ],
)
def test_any_other_event_is_refused_and_says_where_alarms_come_from(event: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="Invoke respond_to_hang from an alarm action or an EventBridge rule"):
        parse(event)
