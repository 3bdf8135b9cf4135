"""CloudWatch's alarm events, as documented, for any instance, metric and time."""

import json
from typing import Any

from tests.lambdas.account import ACCOUNT_ID, REGION

AT = "2026-11-23T04:00:00.123+0000"
STATUS_CHECK = ("AWS/EC2", "StatusCheckFailed_Instance")
HEARTBEAT = ("Custom/App", "Heartbeat")


def arn(name: str) -> str:
    return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{name}"


def query(instance_id: str | None, metric: tuple[str, str] = STATUS_CHECK, query_id: str = "m1") -> dict[str, Any]:
    """One metric of an alarm's configuration."""
    namespace, name = metric
    dimensions = {} if instance_id is None else {"InstanceId": instance_id}
    return {
        "id": query_id,
        "metricStat": {
            "metric": {"namespace": namespace, "name": name, "dimensions": dimensions},
            "period": 60,
            "stat": "Maximum",
        },
        "returnData": True,
    }


def alarm_action(
    *queries: dict[str, Any], name: str = "hang", at: str = AT, state: str = "ALARM", children: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What CloudWatch invokes a Lambda with; `children` makes it a composite alarm."""
    return {
        "source": "aws.cloudwatch",
        "alarmArn": arn(name),
        "accountId": ACCOUNT_ID,
        "time": at,
        "region": REGION,
        "alarmData": _data(queries, name=name, at=at, state=state, children=children),
    }


def state_change(
    *queries: dict[str, Any], name: str = "hang", at: str = AT, state: str = "ALARM", children: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The same as EventBridge delivers it."""
    return {
        "version": "0",
        "id": "1",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": ACCOUNT_ID,
        "time": "2026-11-23T04:00:01Z",
        "region": REGION,
        "resources": [arn(name)],
        "detail": _data(queries, name=name, at=at, state=state, children=children),
    }


def contributor_change(attributes: dict[str, str], *, name: str = "fleet", at: str = AT) -> dict[str, Any]:
    """One instance of a fleet alarm, as EventBridge delivers it."""
    event = state_change(name=name, at=at)
    event["detail-type"] = "CloudWatch Alarm Contributor State Change"
    event["detail"]["alarmContributor"] = {"id": "1a2b", "attributes": attributes}
    expression = 'SELECT MAX(StatusCheckFailed_Instance) FROM SCHEMA("AWS/EC2", InstanceId) GROUP BY InstanceId'
    event["detail"]["configuration"] = {"metrics": [{"id": "q1", "expression": expression, "returnData": True}]}
    return event


def contributor_action(attributes: dict[str, str]) -> dict[str, Any]:
    """One instance of a fleet alarm, as its Lambda action gets it (inferred: no such event has been published)."""
    event = alarm_action(name="fleet")
    event["alarmData"]["alarmContributor"] = {"id": "1a2b", "attributes": attributes}
    return event


def _data(
    queries: tuple[dict[str, Any], ...], *, name: str, at: str, state: str, children: tuple[str, ...]
) -> dict[str, Any]:
    triggering = [{"arn": arn(child), "state": {"value": "ALARM", "timestamp": at}} for child in children]
    reason = {"triggeringAlarms": triggering} if children else {"version": "1.0", "threshold": 1.0}
    configuration: dict[str, Any] = {"metrics": list(queries)}
    if children:
        configuration = {"alarmRule": " OR ".join(f"ALARM({child})" for child in children)}
    return {
        "alarmName": name,
        "state": {"value": state, "reason": "as tested", "reasonData": json.dumps(reason), "timestamp": at},
        "previousState": {"value": "OK"},
        "configuration": configuration,
    }
