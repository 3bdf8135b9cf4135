"""The claim: one transaction takes the incident, the cooldown and every budget. Without it nobody may interrupt.

Items in the incident table: instance#<id> holds the last interrupt and its incident; budget#<start of the window>
counts the fleet's interrupts, and with the suffix #zone#<name> or #group#<name> those of a zone or a group. The twin of
a drill is charged to the drill's record instead: lambdas/incident/drill_keys.py.
"""

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.incident.drill_keys import TWIN_ID, drill_key
from lambdas.incident.read_items import read_items
from lambdas.incident.record import CRASHED, Incident, State
from lambdas.incident.table import read_incident
from lambdas.incident.update_expression import UpdateExpression, deserialize
from lambdas.provision.parked import COMPLETED, read_snapshot_state
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import InterruptLimits
from lambdas.runtime.errors import BudgetsUnread
from lambdas.runtime.tags import PARKED_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

DUPLICATE = "duplicate"
COOLDOWN = "cooldown"
FLEET_BUDGET_SPENT = "fleet-budget-spent"
ZONE_BUDGET_SPENT = "zone-budget-spent"
GROUP_BUDGET_SPENT = "group-budget-spent"
# The record of the drill does not know the instance as its twin, or its one interrupt is spent.
DRILL_SPENT = "drill-spent"
BUDGETS_SPENT = (FLEET_BUDGET_SPENT, ZONE_BUDGET_SPENT, GROUP_BUDGET_SPENT)
# In the order of the transaction's items: the first failed condition names the refusal.
_REFUSALS = (DUPLICATE, COOLDOWN, *BUDGETS_SPENT)
_REFUSALS_OF_TWIN = (DUPLICATE, COOLDOWN, DRILL_SPENT)
_RETRIABLE = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
_CLAIM_ATTEMPTS = 6
# Several alarms can see one panic within this time. Later ones see the incident.
_ONE_PANIC_SECONDS = 300
# A margin: if the table dropped a count too early, the budget would allow one interrupt too many.
_GRACE_SECONDS = 7 * 24 * 3600
# A panic is compared with the last crash.
_CRASH_KEPT_SECONDS = 90 * 24 * 3600


@dataclass(frozen=True)
class Place:
    """Where an instance is; an empty group means none. `drill`: it carries the tag of this drill's twin."""

    availability_zone: str
    auto_scaling_group: str = ""
    drill: str = ""


@dataclass(frozen=True)
class PastInterrupts:
    """The interrupts that count for the budgets of fleet, zone and group, and the instance's last one (0: never)."""

    last_interrupt_epoch: int
    in_window: int
    in_zone: int
    in_group: int
    # The incident of the last interrupt while it is not concluded; empty: none.
    open_incident: str = ""
    # Whether the drill whose tag the instance carries has an interrupt left for it; None: it carries none.
    is_drill_open: bool | None = None
    # The snapshot of its parked dump volume, if that is gone; empty: it is there, or the volume is not parked.
    missing_snapshot: str = ""

    def spent(self, place: Place, limits: InterruptLimits) -> str | None:
        """The refusal of the first spent budget, or None."""
        if place.drill:
            return DRILL_SPENT if self.is_drill_open is False else None
        if self.in_window >= limits.fleet_budget:
            return FLEET_BUDGET_SPENT
        if self.in_zone >= limits.zone_budget:
            return ZONE_BUDGET_SPENT
        return GROUP_BUDGET_SPENT if place.auto_scaling_group and self.in_group >= limits.group_budget else None


def window_start(now: datetime, window_seconds: int) -> int:
    """Epoch of the window's first second; windows follow each other without gaps from 1970 on."""
    at = moment.epoch(now)
    return at - at % window_seconds


def past_interrupts(
    table: str, instance_id: str, place: Place, *, limits: InterruptLimits, now: datetime
) -> PastInterrupts:
    """Reads them; the claim checks cooldown and budgets again atomically. Raises ClientError, BudgetsUnread."""
    instance, parked, *budgets = (
        f"instance#{instance_id}",
        f"{PARKED_PREFIX}{instance_id}",
        *_budget_keys(place, limits, now),
    )
    # An eventually consistent read could miss a claim made a moment ago.
    items = read_items(table, (instance, parked, *budgets), is_consistent=True)
    if items.unread:
        raise BudgetsUnread(f"DynamoDB left {', '.join(sorted(items.unread))} unread.")
    counts = [_whole(items.found.get(pk, {}), "count") for pk in budgets]
    in_window, in_zone, in_group = (0, 0, 0) if place.drill else (*counts, 0)[:3]
    is_drill_open = _has_interrupt_left(items.found.get(budgets[0], {}), instance_id) if place.drill else None
    last = items.found.get(instance, {})
    open_incident = _if_open(table, str(last.get("incidentId", "")))
    at = _whole(last, "lastInterruptEpoch")
    snapshot = str(items.found.get(parked, {}).get("snapshotId", ""))
    missing = "" if not snapshot or read_snapshot_state(snapshot) == COMPLETED else snapshot
    return PastInterrupts(at, in_window, in_zone, in_group, open_incident, is_drill_open, missing)


def _has_interrupt_left(drill: Mapping[str, Any], instance_id: str) -> bool:
    """Of a drill's record: the tag alone, which anybody may set, gives an instance no budget of its own."""
    return drill.get(TWIN_ID) == instance_id and _whole(drill, "count") < 1


def _if_open(table: str, incident_id: str) -> str:
    """The incident while its dump may be under way or not fetched yet; empty when it is concluded, or gone."""
    known = read_incident(table, incident_id) if incident_id else None
    return incident_id if known is not None and known.state in CRASHED else ""


def claim(table: str, incident: Incident, place: Place, *, limits: InterruptLimits, now: datetime) -> str | None:
    """Takes the right to send this incident's one interrupt. Returns None on success, else the reason of the refusal.

    All or nothing: the record goes to `interrupting`, the cooldown starts, each budget is charged.
    The timeline of `incident` is appended to the record's.
    All attempts share one token: if an attempt succeeded but its answer was lost, the next one still succeeds.
    """
    nothing_left = PastInterrupts(0, 0, 0, 0).spent(place, limits)
    if nothing_left is not None:
        return nothing_left
    cooldown = _start_cooldown(table, incident, limits, now, not_within_seconds=limits.cooldown_seconds)
    claimed = {"state": State.INTERRUPTING.value, "claimedEpoch": moment.epoch(now)}
    items = [_take_incident(table, incident, claimed), cooldown]
    budgets = (limits.fleet_budget, limits.zone_budget, limits.group_budget)
    keys = _budget_keys(place, limits, now)
    if place.drill:
        items.append(_charge_drill(table, keys[0], incident.instance_id))
    else:
        items += [_charge(table, pk, budget, limits, now) for pk, budget in zip(keys, budgets, strict=False)]
    token = uuid.uuid4().hex
    for attempt in range(_CLAIM_ATTEMPTS):
        try:
            clients.dynamodb().transact_write_items(TransactItems=items, ClientRequestToken=token)
        except ClientError as error:
            refusal = _refusal(error, _REFUSALS_OF_TWIN if place.drill else _REFUSALS)
            if refusal is not None:
                return refusal
            if attempt == _CLAIM_ATTEMPTS - 1 or not _is_conflict(error):
                raise
            # Another instance is charging the same budget. Read it before the next attempt: if it is now spent, stop.
            time.sleep(random.uniform(0.02, 0.1) * 2**attempt)  # noqa: S311 - jitter, not a secret
            spent = past_interrupts(table, incident.instance_id, place, limits=limits, now=now).spent(place, limits)
            if spent is not None and _cancellations(error):
                return spent
        else:
            return None
    raise AssertionError("the loop returns or raises")


def give_back(table: str, incident: Incident, place: Place, *, limits: InterruptLimits, claimed_at: datetime) -> None:
    """Undoes a claim whose interrupt was certainly not sent: no cooldown, no budget charged. Raises ClientError.

    What stopped it (a switch, Auto Scaling, a throttled call) may be gone in a minute, and the instance still hangs.
    """
    update = UpdateExpression({"lastInterruptEpoch": 0})
    mine = f"{update.name('incidentId')} = {update.value(incident.incident_id)}"
    items = [_member(table, f"instance#{incident.instance_id}", update, mine)]
    items += [_refund(table, pk) for pk in _budget_keys(place, limits, claimed_at)]
    clients.dynamodb().transact_write_items(TransactItems=items, ClientRequestToken=uuid.uuid4().hex)


def last_crash(table: str, instance_id: str) -> Incident | None:
    """The incident of the instance's last interrupt or panic; None if there was none, or it was not sent."""
    key = _key(f"instance#{instance_id}")
    item = clients.dynamodb().get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    last = read_incident(table, str(deserialize(item).get("incidentId", ""))) if item else None
    return last if last is not None and last.is_crashed else None


def record_panic(table: str, incident: Incident, *, limits: InterruptLimits, now: datetime) -> bool:
    """Records that the kernel panicked on its own: the incident is `panicked`, and the cooldown starts.

    False when another alarm records the same panic, or this incident is no longer only opened.
    """
    items = [
        _take_incident(table, incident, {"state": State.PANICKED.value}),
        _start_cooldown(table, incident, limits, now, not_within_seconds=_ONE_PANIC_SECONDS),
    ]
    try:
        clients.dynamodb().transact_write_items(TransactItems=items, ClientRequestToken=uuid.uuid4().hex)
    except ClientError as error:
        if _refusal(error) is None:
            raise
        return False
    return True


def _take_incident(table: str, incident: Incident, state: dict[str, Any]) -> "TransactWriteItemTypeDef":
    fields = incident.as_json() | state
    update = UpdateExpression(fields, fields.pop("timeline"))
    opened = update.value(State.OPENED.value)
    condition = f"attribute_not_exists(pk) OR {update.name('state')} = {opened}"
    return _member(table, f"incident#{incident.incident_id}", update, condition)


def _start_cooldown(
    table: str, incident: Incident, limits: InterruptLimits, now: datetime, *, not_within_seconds: int
) -> "TransactWriteItemTypeDef":
    """Fails if the last interrupt or panic is no older than not_within_seconds."""
    at = moment.epoch(now)
    expires = at + limits.cooldown_seconds + _CRASH_KEPT_SECONDS
    update = UpdateExpression({"lastInterruptEpoch": at, "incidentId": incident.incident_id, "expiresAtEpoch": expires})
    last, allowed = update.name("lastInterruptEpoch"), update.value(at - not_within_seconds)
    condition = f"attribute_not_exists({last}) OR {last} < {allowed}"
    return _member(table, f"instance#{incident.instance_id}", update, condition)


def _charge(table: str, pk: str, budget: int, limits: InterruptLimits, now: datetime) -> "TransactWriteItemTypeDef":
    window = limits.fleet_budget_window_seconds
    update = UpdateExpression({"expiresAtEpoch": window_start(now, window) + window + _GRACE_SECONDS})
    count, limit = update.name("count"), update.value(budget)
    update.increase("count", 1)
    return _member(table, pk, update, f"attribute_not_exists({count}) OR {count} < {limit}")


def _charge_drill(table: str, pk: str, instance_id: str) -> "TransactWriteItemTypeDef":
    """A drill has one interrupt, for the twin that its record names; no other budget is charged."""
    update = UpdateExpression({})
    count, one, twin, own = update.name("count"), update.value(1), update.name(TWIN_ID), update.value(instance_id)
    update.increase("count", 1)
    return _member(table, pk, update, f"{twin} = {own} AND (attribute_not_exists({count}) OR {count} < {one})")


def _refund(table: str, pk: str) -> "TransactWriteItemTypeDef":
    update = UpdateExpression({})
    update.increase("count", -1)
    return _member(table, pk, update, f"{update.name('count')} > {update.value(0)}")


def _budget_keys(place: Place, limits: InterruptLimits, now: datetime) -> list[str]:
    """The fleet's, the zone's and, if the instance has a group, the group's; of a drill's twin the drill's alone."""
    if place.drill:
        return [drill_key(place.drill)]
    window = f"budget#{window_start(now, limits.fleet_budget_window_seconds)}"
    group = [f"{window}#group#{place.auto_scaling_group}"] if place.auto_scaling_group else []
    return [window, f"{window}#zone#{place.availability_zone}", *group]


def _member(table: str, pk: str, update: UpdateExpression, condition: str) -> "TransactWriteItemTypeDef":
    return {
        "Update": {
            "TableName": table,
            "Key": _key(pk),
            "ConditionExpression": condition,
            **update.arguments(),  # type: ignore[typeddict-item]
        }
    }


def _key(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}}


def _whole(item: Mapping[str, Any], name: str) -> int:
    return int(item.get(name, 0))


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _cancellations(error: ClientError) -> list[str]:
    # Only TransactionCanceledException carries reasons: one per item, "None" if the item's condition held.
    reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return [reason.get("Code", "None") for reason in reasons]


def _refusal(error: ClientError, refusals: Sequence[str] = _REFUSALS) -> str | None:
    cancelled = zip(_cancellations(error), refusals, strict=False)
    return next((refusal for code, refusal in cancelled if code == "ConditionalCheckFailed"), None)


def _is_conflict(error: ClientError) -> bool:
    return _code(error) == "TransactionInProgressException" or not _RETRIABLE.isdisjoint(_cancellations(error))
