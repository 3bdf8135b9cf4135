"""Instances and rows for the tests of the planner."""

from datetime import UTC, datetime, timedelta
from typing import Any

from lambdas.fleet.plan import Deployment, Item, Member, Plan, plan
from lambdas.fleet.row import FleetRow, Status
from lambdas.runtime import moment

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
CURRENT, OLD = "settings-of-now", "settings-of-then"
INSTANCE = "i-0123456789abcdef0"


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def member(instance_id: str = INSTANCE, **known: Any) -> Member:
    """A running instance that its owner enrolled days ago."""
    given: dict[str, Any] = {
        "state": "running",
        "enrolled": "true",
        "launched_at": NOW - hours(72),
        "zone": "eu-west-1a",
    } | known
    return Member(instance_id=instance_id, **given)


def row(status: Status = Status.READY, *, instance_id: str = INSTANCE, **known: Any) -> FleetRow:
    """The row of an instance that was provisioned yesterday."""
    given: dict[str, Any] = {
        "zone": "eu-west-1a",
        "since": moment.iso(NOW - hours(24)),
        "tried_at": moment.iso(NOW - hours(24)),
        "configuration_id": CURRENT,
        "tried_configuration_id": CURRENT,
    } | known
    return FleetRow(instance_id=instance_id, status=status, **given)


def deployment(**known: Any) -> Deployment:
    given: dict[str, Any] = {"configuration_id": CURRENT, "fleet_limit": 1000, "now": NOW} | known
    return Deployment(**given)


def planned(
    members: list[Member],
    rows: list[FleetRow] | None = None,
    *,
    most: int = 1000,
    round_id: str = "one/1",
    **known: Any,
) -> Plan:
    return plan(
        {each.instance_id: each for each in members},
        {each.instance_id: each for each in rows or []},
        deployment(**known),
        round_id=round_id,
        most=most,
    )


def item(*args: Any, **known: Any) -> Item:
    """The plan for the one instance that there is."""
    (found,) = planned(*args, **known).items
    return found
