"""EventBridge's rules with a schedule: `rate(…)` only, in the account's shrunken time. Owns no delivery."""

import re
import time
from typing import Any

from moto.events.exceptions import ValidationException
from moto.events.models import EventsBackend, Rule

from lab.aws.patches import Patches
from lab.aws.state import AccountState, utc_now

# rate(24 hours)
_RATE = re.compile(r"rate\((?P<number>[1-9][0-9]*) (?P<unit>minute|hour|day)s?\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_TICK_SECONDS = 0.1


def install(patches: Patches) -> None:
    """Real: cron too. moto: takes any schedule and never fires."""

    def make(original: Any) -> Any:
        def put_rule(backend: EventsBackend, *args: Any, **kwargs: Any) -> Rule:
            schedule = kwargs.get("scheduled_expression")
            if schedule and _RATE.fullmatch(schedule) is None:
                raise ValidationException(f"the lab fires schedules of the form rate(24 hours), not {schedule}")
            rule: Rule = original(backend, *args, **kwargs)
            return rule

        return put_rule

    patches.replace(EventsBackend, "put_rule", make)


def fire_until_closed(state: AccountState) -> None:
    """Each rule for the first time a period after it was seen, as EventBridge does."""
    due: dict[str, float] = {}
    while state.pause(_TICK_SECONDS):
        for rule in list(state.backend("events").describe_event_bus("default").rules.values()):
            if not rule.scheduled_expression:
                continue
            period = state.clock.scaled(period_seconds(rule.scheduled_expression))
            if time.monotonic() >= due.setdefault(rule.arn, time.monotonic() + period):
                due[rule.arn] += period
                rule.send_to_targets(scheduled_event(state, rule))


def period_seconds(schedule: str) -> int:
    """Of rate(5 minutes)."""
    rate = _RATE.fullmatch(schedule)
    assert rate is not None, schedule  # noqa: S101 - put_rule has refused every other
    return int(rate["number"]) * _SECONDS[rate["unit"]]


def scheduled_event(state: AccountState, rule: Rule) -> dict[str, Any]:
    """What the target of a scheduled rule gets."""
    return {
        "version": "0",
        "id": "lab",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": state.account_id,
        "time": utc_now().timestamp(),
        "region": state.region,
        "resources": [rule.arn],
        "detail": {},
    }
