"""EventBridge: rules that reach Lambda, SNS and Step Functions, and the events of AWS's own. Owns no rule."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.events.models import Rule

from lab.aws.json_path import extract
from lab.aws.patches import Patches
from lab.aws.state import AccountState, utc_now

PRINCIPAL = "events.amazonaws.com"

# invoke(function_arn, payload, principal, source_arn)
Invoke = Callable[[str, dict[str, Any], str, str], None]
# publish(topic_arn, subject, message, principal, source_arn) sends to SNS, for a service or the role of a function
Publish = Callable[[str, str, dict[str, Any], str, str], None]
# start(machine_arn, execution_input, role_arn) starts an execution in the name of a target's role
Start = Callable[[str, dict[str, Any], str], None]
# notify(source, detail_type, detail, resources) publishes an event of AWS's own
Notify = Callable[[str, str, dict[str, Any], list[str]], None]


class EventBridge:
    """The default bus, for what services say by themselves."""

    def __init__(self, state: AccountState) -> None:
        self._state = state

    def notify(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Publish an event of AWS's own. Real: EC2, CloudWatch and others do. moto: none of them does."""
        event = {
            "version": "0",
            "id": "lab",
            "detail-type": detail_type,
            "source": source,
            "account": self._state.account_id,
            # moto's own events carry epoch seconds here and print them in its targets
            "time": utc_now().timestamp(),
            "region": self._state.region,
            "resources": resources,
            "detail": detail,
        }
        for rule in list(self._state.backend("events").describe_event_bus("default").rules.values()):
            rule.send_to_targets(event)


def install(patches: Patches, *, invoke: Invoke, publish: Publish, start: Start) -> None:
    """Real: twenty kinds of targets. moto: logs, SQS and buses; NotImplementedError for Lambda, SNS, Step Functions."""

    def make(original: Any) -> Any:
        def send_to_targets(rule: Rule, event: dict[str, Any], transform_input: bool = True) -> None:
            if rule.state != "ENABLED" or not _is_for(rule, event):
                return
            ours = [target for target in rule.targets if target["Arn"].split(":")[2] in ("lambda", "sns", "states")]
            for target in ours:
                payload, service = _payload(target, event), target["Arn"].split(":")[2]
                if service == "lambda":
                    invoke(target["Arn"], payload, PRINCIPAL, rule.arn)
                elif service == "states":
                    start(target["Arn"], payload, target["RoleArn"])
                else:
                    publish(target["Arn"], event["detail-type"], payload, PRINCIPAL, rule.arn)
            others = [target for target in rule.targets if target not in ours]
            if others:
                kept, rule.targets = rule.targets, others
                try:
                    original(rule, event, transform_input)
                finally:
                    rule.targets = kept

        return send_to_targets

    patches.replace(Rule, "send_to_targets", make)


def _is_for(rule: Rule, event: dict[str, Any]) -> bool:
    """A rule that has only a schedule gets its own events. moto: has no pattern, so every event matches."""
    if rule.scheduled_expression and not rule.event_pattern.get_pattern():
        return bool(event["source"] == "aws.events" and rule.arn in event["resources"])
    return bool(rule.event_pattern.matches_event(event))


def _payload(target: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    if target.get("InputTransformer"):
        raise NotImplementedError("InputTransformer of an EventBridge target is not emulated")
    if target.get("InputPath"):
        part: dict[str, Any] = extract(target["InputPath"], event)
        return part
    if target.get("Input"):
        constant: dict[str, Any] = json.loads(target["Input"])
        return constant
    time = datetime.fromtimestamp(float(event["time"]), tz=UTC)
    return {**event, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ")}
