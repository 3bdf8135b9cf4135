"""The record of a drill, and what limits drills: one of a subject at a time, a cooldown, and a budget.

Items of the incident table; drill_keys.py has their keys. The record also proves to the clean-up, to the sweep and to
the claim of an interrupt that an instance is a twin of this drill: whoever may only tag cannot write it.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.incident.drill_keys import BUDGET_PREFIX, HUNG_AT, OF_PREFIX, TWIN_ID, drill_key
from lambdas.incident.read_items import read_items
from lambdas.incident.record import DRILL_OPENED, State, in_visible_text, timeline_entry
from lambdas.incident.update_expression import UpdateExpression, deserialize, serialize
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import DrillLimits
from lambdas.runtime.errors import AwsUnavailable, DrillInProgress, DrillLimitReached
from lambdas.runtime.moment import duration

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_KEPT_SECONDS = 90 * 24 * 3600
_RUNNING = "RUNNING"


@dataclass(frozen=True, kw_only=True)
class Drill:
    """One execution of DrillDump. `made_for`: the instance that its twin imitates; "" for a twin of an image."""

    name: str
    execution_arn: str
    subject: str
    made_for: str
    image_id: str
    instance_type: str
    hang: str
    # The twin has that of the instance.
    profile: str = ""


def read_drill(table: str, name: str) -> dict[str, Any]:
    """The record as last written; empty: there is none."""
    return _read(table, drill_key(name))


def read_twins(table: str, names: Collection[str]) -> dict[str, str]:
    """Of the drills that have a record the twin, "" while it is not known: not noted yet, or left unread."""
    items = read_items(table, map(drill_key, names), is_consistent=True)
    twins = {key: str(record.get(TWIN_ID, "")) for key, record in items.found.items()} | dict.fromkeys(items.unread, "")
    return {name: twins[drill_key(name)] for name in names if drill_key(name) in twins}


def begin(table: str, drill: Drill, limits: DrillLimits, *, now: datetime) -> None:
    """Takes the right to drill; a retry finds the record and changes nothing.

    Raises DrillInProgress, DrillLimitReached.
    """
    if read_drill(table, drill.name):
        return
    last = _read(table, f"{OF_PREFIX}{drill.subject}")
    holder = str(last.get("holder", ""))
    if holder and _is_running(holder):
        raise _in_progress(drill, holder)
    since = moment.epoch(now) - int(last.get("hungEpoch", 0))
    if since < limits.drill_cooldown_seconds:
        left = duration(limits.drill_cooldown_seconds - since)
        raise DrillLimitReached(
            f"A drill of {drill.subject} hung its twin {duration(since)} ago; the next one may begin in {left}.",
            "Wait, or lower drillCooldownSeconds.",
        )
    items = [_open(table, drill, now, limits), _hold(table, drill, holder, now), _charge(table, limits, now)]
    try:
        clients.dynamodb().transact_write_items(TransactItems=items, ClientRequestToken=uuid.uuid4().hex)
    except ClientError as error:
        _explain(error, drill, limits)


def end(table: str, drill: dict[str, Any], *, status: str, detail: str, now: datetime) -> None:
    """Ends the record, and lets the next drill of the subject begin. A drill that hung nothing costs no budget."""
    hung_at = drill.get(HUNG_AT)
    ended = {
        "state": State.CONCLUDED.value,
        "verdict": status,
        "verdictReason": detail,
        "concludedAt": moment.iso(now),
    }
    update = UpdateExpression(in_visible_text(ended), [timeline_entry(now, "concluded", status)])
    is_open = f"{update.name('state')} = {update.value(State.OPENED.value)}"
    items = [_member(table, str(drill["pk"]), update, is_open)]
    if not hung_at:
        items.append(_refund(table, str(drill["budget"])))
    try:
        clients.dynamodb().transact_write_items(TransactItems=items, ClientRequestToken=uuid.uuid4().hex)
    except ClientError as error:
        # An earlier attempt has ended it.
        if "ConditionalCheckFailed" not in _reasons(error):
            raise _conflict(error) from error
    _let_go(table, drill, hung_at=hung_at)


def _let_go(table: str, drill: dict[str, Any], *, hung_at: str | None) -> None:
    fields = {"holder": ""} | ({"hungEpoch": moment.epoch(moment.parse(hung_at))} if hung_at else {})
    update = UpdateExpression(fields)
    mine = f"{update.name('holder')} = {update.value(drill['executionArn'])}"
    try:
        clients.dynamodb().update_item(
            TableName=table,
            Key=serialize({"pk": f"{OF_PREFIX}{drill['subject']}"}),
            ConditionExpression=mine,
            **update.arguments(),
        )
    except ClientError as error:
        # Let go before, or taken over.
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise


def _read(table: str, pk: str) -> dict[str, Any]:
    answer = clients.dynamodb().get_item(TableName=table, Key=serialize({"pk": pk}), ConsistentRead=True)
    return deserialize(answer["Item"]) if "Item" in answer else {}


def _is_running(execution_arn: str) -> bool:
    try:
        seen = clients.stepfunctions().describe_execution(executionArn=execution_arn)
    except clients.stepfunctions().exceptions.ExecutionDoesNotExist:
        return False
    return seen["status"] == _RUNNING


def _open(table: str, drill: Drill, now: datetime, limits: DrillLimits) -> "TransactWriteItemTypeDef":
    record = {
        "pk": drill_key(drill.name),
        # As an incident's record, so that why_not_made_by can judge it.
        "incidentId": drill_key(drill.name),
        "instanceId": drill.made_for,
        "executionName": drill.name,
        "executionArn": drill.execution_arn,
        "state": State.OPENED.value,
        "openedAt": moment.iso(now),
        "subject": drill.subject,
        "imageId": drill.image_id,
        "instanceType": drill.instance_type,
        "hang": drill.hang,
        "profile": drill.profile,
        "budget": _budget_key(limits, now),
        "timeline": [timeline_entry(now, DRILL_OPENED, drill.name)],
        "expiresAtEpoch": moment.epoch(now) + _KEPT_SECONDS,
    }
    return {"Put": {"TableName": table, "Item": serialize(record), "ConditionExpression": "attribute_not_exists(pk)"}}


def _hold(table: str, drill: Drill, gone: str, now: datetime) -> "TransactWriteItemTypeDef":
    """`gone`: the holder that was found no longer to run; "": there was none."""
    update = UpdateExpression(
        {"holder": drill.execution_arn, "expiresAtEpoch": moment.epoch(now) + _KEPT_SECONDS},
    )
    holder, known = update.name("holder"), update.value(gone)
    return _member(
        table, f"{OF_PREFIX}{drill.subject}", update, f"attribute_not_exists({holder}) OR {holder} = {known}"
    )


def _charge(table: str, limits: DrillLimits, now: datetime) -> "TransactWriteItemTypeDef":
    update = UpdateExpression(
        {"expiresAtEpoch": moment.epoch(now) + limits.fleet_budget_window_seconds + _KEPT_SECONDS}
    )
    count, limit = update.name("count"), update.value(limits.drill_budget)
    update.increase("count", 1)
    return _member(table, _budget_key(limits, now), update, f"attribute_not_exists({count}) OR {count} < {limit}")


def _refund(table: str, pk: str) -> "TransactWriteItemTypeDef":
    update = UpdateExpression({})
    update.increase("count", -1)
    return _member(table, pk, update, f"{update.name('count')} > {update.value(0)}")


def _budget_key(limits: DrillLimits, now: datetime) -> str:
    at = moment.epoch(now)
    return f"{BUDGET_PREFIX}{at - at % limits.fleet_budget_window_seconds}"


def _member(table: str, pk: str, update: UpdateExpression, condition: str) -> "TransactWriteItemTypeDef":
    return {
        "Update": {
            "TableName": table,
            "Key": serialize({"pk": pk}),
            "ConditionExpression": condition,
            **update.arguments(),  # type: ignore[typeddict-item]
        }
    }


def _reasons(error: ClientError) -> list[str]:
    # Only TransactionCanceledException carries reasons: one per item, "None" if the item's condition held.
    reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return [reason.get("Code", "None") for reason in reasons]


def _explain(error: ClientError, drill: Drill, limits: DrillLimits) -> None:
    """In the order of the transaction's items. An own record that is there already was written by a lost attempt."""
    reasons = _reasons(error)
    is_refused = [reason == "ConditionalCheckFailed" for reason in (*reasons, "", "", "")[:3]]
    if is_refused[0]:
        return
    if is_refused[1]:
        raise _in_progress(drill, "another execution") from error
    if is_refused[2]:
        raise DrillLimitReached(
            f"{limits.drill_budget} drills were begun in this window ({duration(limits.fleet_budget_window_seconds)}).",
            "Wait for the next window, or raise drillBudget.",
        ) from error
    raise _conflict(error) from error


def _conflict(error: ClientError) -> Exception:
    """Two at once in one item: the state tries again."""
    if "TransactionConflict" in _reasons(error):
        return AwsUnavailable("Another execution writes the same items.", AwsUnavailable.next_step)
    return error


def _in_progress(drill: Drill, holder: str) -> DrillInProgress:
    return DrillInProgress(f"{holder} drills {drill.subject}.", DrillInProgress.next_step)
