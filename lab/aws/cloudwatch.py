"""CloudWatch alarms that watch their metric and act. Owns evaluation and actions; the metrics come from elsewhere."""

import json
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import Alarm, CloudWatchBackend, Metric, MetricDatum

from lab.aws import status_checks
from lab.aws.alarm_evaluation import Rule, evaluate
from lab.aws.eventbridge import Invoke, Notify, Publish
from lab.aws.patches import Patches
from lab.aws.state import AccountState, utc_now

# Real: CloudWatch evaluates once a minute.
EVALUATION_SECONDS = 60
# Who invokes a function, and who publishes to a topic.
ALARMS_PRINCIPAL, PUBLISHING_PRINCIPAL = "lambda.alarms.cloudwatch.amazonaws.com", "cloudwatch.amazonaws.com"
_UNCHECKED = "Unchecked: Initial alarm creation"


def install(
    patches: Patches, state: AccountState, *, invoke: Invoke, publish: Publish, notify: Notify
) -> "AlarmActions":
    """`publish` sends to SNS; `notify` publishes to EventBridge."""
    actions = AlarmActions(state, invoke, publish, notify)
    _install_update_state(patches, state, actions)
    _install_put_metric_alarm(patches)
    return actions


def _install_update_state(patches: Patches, state: AccountState, actions: "AlarmActions") -> None:
    """Real: a change of state runs the actions, SetAlarmState too. moto: only the word changes."""

    def make(original: Any) -> Any:
        def update_state(alarm: Alarm, reason: str, reason_data: str | None, state_value: str) -> None:
            before = snapshot(alarm)
            original(alarm, reason, reason_data or "{}", state_value)
            if before["value"] != state_value:
                state.events.emit("cloudwatch", alarm.name, f"alarm {before['value']} -> {state_value}")
                actions.run(alarm, before)

        return update_state

    patches.replace(Alarm, "update_state", make)


def _install_put_metric_alarm(patches: Patches) -> None:
    """Real: a new alarm starts in INSUFFICIENT_DATA, an existing one keeps its state. moto: OK, always anew."""

    def make(original: Any) -> Any:
        def put_metric_alarm(backend: CloudWatchBackend, name: str, *args: Any, **kwargs: Any) -> Alarm:
            existing = backend.alarms.get(name)
            alarm = original(backend, name, *args, **kwargs)
            if existing is None:
                alarm.state_value, alarm.state_reason = "INSUFFICIENT_DATA", _UNCHECKED
            else:
                for attribute in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp"):
                    setattr(alarm, attribute, getattr(existing, attribute))
            return alarm

        return put_metric_alarm

    patches.replace(CloudWatchBackend, "put_metric_alarm", make)


def evaluate_until_closed(state: AccountState) -> None:
    """The clock of all alarms, and of EC2's metrics; runs in a thread of its own."""
    while state.pause(state.clock.scaled(EVALUATION_SECONDS)):
        status_checks.post_metrics(state)
        evaluate_all(state)


def evaluate_all(state: AccountState) -> None:
    backend = state.backend("cloudwatch")
    for alarm in list(backend.alarms.values()):
        if alarm.rule is not None or alarm.metric_data_queries:
            # Composite and metric-math alarms change state only by SetAlarmState.
            continue
        rule = _rule(state, alarm)
        verdict = evaluate(rule, _data(backend, alarm), now=utc_now())
        if verdict.state is not None and verdict.state != alarm.state_value:
            reason, reason_data = _reason(alarm, verdict.state, verdict.points)
            alarm.update_state(reason, reason_data, verdict.state)


def _rule(state: AccountState, alarm: Alarm) -> Rule:
    return Rule(
        period_seconds=state.clock.scaled(float(alarm.period)),
        evaluation_periods=int(alarm.evaluation_periods),
        datapoints_to_alarm=int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
        threshold=float(alarm.threshold),
        comparison_operator=alarm.comparison_operator,
        statistic=alarm.statistic,
        treat_missing_data=alarm.treat_missing_data or "missing",
    )


def _data(backend: CloudWatchBackend, alarm: Alarm) -> list[tuple[datetime, float]]:
    wanted = {(d.name, d.value) for d in alarm.dimensions}
    return [
        (_aware(datum.timestamp), datum.value)
        for datum in list(backend.metric_data)
        if isinstance(datum, MetricDatum)
        and (datum.namespace, datum.name) == (alarm.namespace, alarm.metric_name)
        and {(d.name, d.value) for d in datum.dimensions} == wanted
    ]


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _reason(alarm: Alarm, value: str, points: tuple[float, ...]) -> tuple[str, str]:
    text = f"{value}: {len(points)} datapoints {list(points)} against {alarm.comparison_operator} {alarm.threshold}."
    data = {
        "version": "1.0",
        "queryDate": utc_now().isoformat(),
        "statistic": alarm.statistic,
        "period": int(alarm.period),
        "recentDatapoints": list(points),
        "threshold": float(alarm.threshold),
    }
    return text, json.dumps(data)


def snapshot(alarm: Alarm) -> dict[str, Any]:
    """State as it stands in an alarm event."""
    return {
        "value": alarm.state_value,
        "reason": alarm.state_reason,
        "reasonData": alarm.state_reason_data,
        "timestamp": _timestamp(alarm.state_updated_timestamp),
    }


def _timestamp(time: datetime) -> str:
    # 2026-11-23T04:00:00.123+0000
    return _aware(time).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}+0000"


class AlarmActions:
    """What an alarm does when it changes: Lambda, SNS, EventBridge."""

    def __init__(self, state: AccountState, invoke: Invoke, publish: Publish, notify: Notify) -> None:
        self._state = state
        self._invoke = invoke
        self._publish = publish
        self._notify = notify

    def run(self, alarm: Alarm, before: dict[str, Any]) -> None:
        data = alarm_data(alarm, before)
        detail = {k: v for k, v in data.items() if k != "state" or v}
        self._notify("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [alarm.alarm_arn])
        if not alarm.actions_enabled:
            return
        chosen = {
            "ALARM": alarm.alarm_actions,
            "OK": alarm.ok_actions,
            "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
        }
        for action in chosen[alarm.state_value] or []:
            self._act(alarm, action, data)

    def _act(self, alarm: Alarm, action: str, data: dict[str, Any]) -> None:
        service = action.split(":")[2]
        if service == "lambda":
            event = {
                "source": "aws.cloudwatch",
                "alarmArn": alarm.alarm_arn,
                "accountId": self._state.account_id,
                "time": data["state"]["timestamp"],
                "region": self._state.region,
                "alarmData": data,
            }
            # Asynchronous: all deliveries are on their way at once.
            for _ in range(self._state.alarm_deliveries):
                self._invoke(action, event, ALARMS_PRINCIPAL, alarm.alarm_arn)
        elif service == "sns":
            subject, message = f'{alarm.state_value}: "{alarm.name}"', {"AlarmName": alarm.name, **data}
            self._publish(action, subject, message, PUBLISHING_PRINCIPAL, alarm.alarm_arn)
        else:
            self._state.events.emit("cloudwatch", alarm.name, f"action {action} is not emulated: nothing done")


def alarm_data(alarm: Alarm, before: dict[str, Any]) -> dict[str, Any]:
    """The `alarmData` of the event that CloudWatch sends to a function."""
    configuration: dict[str, Any] = {"description": alarm.description or ""}
    if alarm.rule is not None:
        configuration["alarmRule"] = alarm.rule
    else:
        configuration["metrics"] = _metrics(alarm)
    return {
        "alarmName": alarm.name,
        "state": snapshot(alarm),
        "previousState": before,
        "configuration": configuration,
    }


def _metrics(alarm: Alarm) -> list[dict[str, Any]]:
    if not alarm.metric_data_queries:
        return [
            {"id": "m1", "metricStat": _metric(alarm, period=alarm.period, stat=alarm.statistic), "returnData": True}
        ]
    metrics = []
    for query in alarm.metric_data_queries:
        returns = bool(query.return_data)
        if query.metric_stat is None:
            metrics.append({"id": query.id, "expression": query.expression, "returnData": returns})
        else:
            stat = query.metric_stat
            metric = _metric(stat.metric, period=stat.period, stat=stat.stat)
            metrics.append({"id": query.id, "metricStat": metric, "returnData": returns})
    return metrics


def _metric(source: Alarm | Metric, *, period: Any, stat: str) -> dict[str, Any]:
    dimensions = {dimension.name: dimension.value for dimension in source.dimensions}
    metric = {"namespace": source.namespace, "name": source.metric_name, "dimensions": dimensions}
    return {"metric": metric, "period": int(period), "stat": stat}
