"""Reads and writes incident records, and takes the claim without which nobody may interrupt.

The table has one key, `pk`: incident#<id>, instance#<id> (last interrupt), budget#<start of the window> (their number).
Powertools' idempotency and the provisioning leases keep their items beside these.
"""

import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas import clients, moment
from lambdas.environment import InterruptLimits
from lambdas.incident import Incident, State, timeline_entry
from lambdas.index_fields import index_fields
from lambdas.update_expression import UpdateExpression, deserialize, serialize

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

DUPLICATE = "duplicate"
COOLDOWN = "cooldown"
FLEET_BUDGET_SPENT = "fleet-budget-spent"
# In the order of the transaction's items: the first condition that fails names the refusal.
_REFUSALS = (DUPLICATE, COOLDOWN, FLEET_BUDGET_SPENT)
_RETRIABLE = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
_CLAIM_ATTEMPTS = 6
# Kept longer than needed: an item that expires early would forget an interrupt.
_GRACE_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class PastInterrupts:
    """What the cooldown and the fleet budget are judged by; lastInterruptEpoch 0 is never."""

    last_interrupt_epoch: int
    interrupts_in_window: int


class IncidentTable:
    """The table, seen as incidents."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, incident_id: str) -> Incident | None:
        """The record as last written, or None."""
        item = self._get(f"incident#{incident_id}")
        return Incident.model_validate(item) if item else None

    def create(self, incident: Incident) -> bool:
        """False when the record exists already; it is left as it is."""
        fields = {"pk": f"incident#{incident.incident_id}"}
        # One that ends as it begins, a refusal; others are indexed at their end.
        if incident.verdict is not None:
            fields |= index_fields()
        try:
            clients.dynamodb().put_item(
                TableName=self.name,
                Item=serialize(fields | incident.as_json()),
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            if _code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def update(
        self,
        incident_id: str,
        fields: Mapping[str, Any],
        *,
        timeline: Sequence[dict[str, str]] = (),
        only_in: Sequence[State] = (),
    ) -> bool:
        """Sets camelCase fields, appends to the timeline; False when the record is in none of the states `only_in`."""
        update = UpdateExpression(fields, timeline)
        condition: dict[str, Any] = {}
        if only_in:
            names = [update.value(state.value) for state in only_in]
            condition = {"ConditionExpression": f"{update.name('state')} IN ({', '.join(names)})"}
        try:
            clients.dynamodb().update_item(
                TableName=self.name, Key=_key(f"incident#{incident_id}"), **update.arguments(), **condition
            )
        except ClientError as error:
            if _code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def settle_interrupting(self, incident: Incident, *, now: datetime) -> None:
        """A record left in `interrupting` by a crash: from now on the interrupt counts as sent, at the claim's time."""
        if incident.state != State.INTERRUPTING:
            return
        detail = "The function ended between the claim and EC2's answer: the interrupt may have been sent."
        fields = {"state": State.INTERRUPT_UNCERTAIN.value, "interruptedEpoch": incident.claimed_epoch}
        entry = timeline_entry(now, "interrupt-uncertain", detail)
        self.update(incident.incident_id, fields, timeline=[entry], only_in=[State.INTERRUPTING])

    def past_interrupts(self, instance_id: str, *, window_seconds: int, now: datetime) -> PastInterrupts:
        """As of now; the claim checks the same again, atomically."""
        instance = self._get(f"instance#{instance_id}") or {}
        budget = self._get(f"budget#{_window_start(now, window_seconds)}") or {}
        return PastInterrupts(int(instance.get("lastInterruptEpoch", 0)), int(budget.get("count", 0)))

    def claim(self, incident: Incident, *, limits: InterruptLimits, now: datetime) -> str | None:
        """Takes the right to send this incident's one interrupt; a refusal's reason, or None when it is ours.

        All or nothing: the record goes to `interrupting`, the cooldown starts, the fleet's budget is charged.
        The timeline of `incident` is appended to what the record has.
        One token for all attempts, so that an attempt which did succeed unheard is not taken for somebody else's.
        """
        if limits.fleet_budget == 0:
            return FLEET_BUDGET_SPENT
        items = [self._claim_incident(incident, now), self._start_cooldown(incident, limits, now)]
        items.append(self._charge_budget(limits, now))
        token = uuid.uuid4().hex
        for attempt in range(_CLAIM_ATTEMPTS):
            try:
                clients.dynamodb().transact_write_items(TransactItems=items, ClientRequestToken=token)
            except ClientError as error:
                refusal = _refusal(error)
                if refusal is not None:
                    return refusal
                if attempt == _CLAIM_ATTEMPTS - 1 or not _is_conflict(error):
                    raise
                # Another instance of the fleet is charging the same budget at this moment.
                time.sleep(random.uniform(0.02, 0.1) * 2**attempt)  # noqa: S311 - jitter, not a secret
            else:
                return None
        raise AssertionError("the loop returns or raises")

    def _claim_incident(self, incident: Incident, now: datetime) -> "TransactWriteItemTypeDef":
        fields = incident.as_json() | {"state": State.INTERRUPTING.value, "claimedEpoch": moment.epoch(now)}
        update = UpdateExpression(fields, fields.pop("timeline"))
        opened = update.value(State.OPENED.value)
        condition = f"attribute_not_exists(pk) OR {update.name('state')} = {opened}"
        return self._member(f"incident#{incident.incident_id}", update, condition)

    def _start_cooldown(self, incident: Incident, limits: InterruptLimits, now: datetime) -> "TransactWriteItemTypeDef":
        at = moment.epoch(now)
        expires = at + limits.cooldown_seconds + _GRACE_SECONDS
        update = UpdateExpression({"lastInterruptEpoch": at, "expiresAtEpoch": expires})
        last, allowed = update.name("lastInterruptEpoch"), update.value(at - limits.cooldown_seconds)
        condition = f"attribute_not_exists({last}) OR {last} < {allowed}"
        return self._member(f"instance#{incident.instance_id}", update, condition)

    def _charge_budget(self, limits: InterruptLimits, now: datetime) -> "TransactWriteItemTypeDef":
        window = limits.fleet_budget_window_seconds
        start = _window_start(now, window)
        update = UpdateExpression({"expiresAtEpoch": start + window + _GRACE_SECONDS})
        count, limit = update.name("count"), update.value(limits.fleet_budget)
        update.increase("count", 1)
        return self._member(f"budget#{start}", update, f"attribute_not_exists({count}) OR {count} < {limit}")

    def _member(self, pk: str, update: UpdateExpression, condition: str) -> "TransactWriteItemTypeDef":
        return {
            "Update": {
                "TableName": self.name,
                "Key": _key(pk),
                "ConditionExpression": condition,
                **update.arguments(),  # type: ignore[typeddict-item]
            }
        }

    def _get(self, pk: str) -> dict[str, Any] | None:
        # Consistent: an eventual read could miss the claim of a moment ago.
        answer = clients.dynamodb().get_item(TableName=self.name, Key=_key(pk), ConsistentRead=True)
        item = answer.get("Item")
        return deserialize(item) if item else None


def _key(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}}


def _window_start(now: datetime, window_seconds: int) -> int:
    at = moment.epoch(now)
    return at - at % window_seconds


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _cancellations(error: ClientError) -> list[str]:
    # Only TransactionCanceledException carries reasons, one per member of the transaction, "None" for those that held.
    reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return [reason.get("Code", "None") for reason in reasons]


def _refusal(error: ClientError) -> str | None:
    cancelled = zip(_cancellations(error), _REFUSALS, strict=False)
    return next((refusal for code, refusal in cancelled if code == "ConditionalCheckFailed"), None)


def _is_conflict(error: ClientError) -> bool:
    return _code(error) == "TransactionInProgressException" or not _RETRIABLE.isdisjoint(_cancellations(error))
