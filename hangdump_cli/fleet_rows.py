"""Reads the fleet table: what EnrolFleet knows of each instance. A stack of before it has none."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hangdump_cli.aws import Aws
from hangdump_cli.items import plain
from hangdump_cli.readiness import Readiness
from hangdump_cli.stack import Stack
from hangdump_cli.text import moment_of
from lambdas.fleet.row import ROW_PREFIX, FleetRow, Status, read_row
from lambdas.runtime import moment
from lambdas.runtime.stack_parameter import Output

# What the table knows better than the last execution: nothing was started, and the row says why.
_WITHOUT_EXECUTION = ("never-provisioned", "provisioning-unknown")


def read_rows(aws: Aws, stack: Stack) -> dict[str, FleetRow]:
    """All rows, by instance."""
    table = stack.outputs.get(Output.FLEET_TABLE.value)
    if not table:
        return {}
    pages = aws.pages(
        "dynamodb",
        "scan",
        TableName=table,
        FilterExpression="begins_with(pk, :prefix)",
        ExpressionAttributeValues={":prefix": {"S": ROW_PREFIX}},
    )
    rows = (read_row(plain(item)) for page in pages for item in page["Items"])
    return {row.instance_id: row for row in rows}


def read_one(aws: Aws, stack: Stack, instance_id: str) -> FleetRow | None:
    """The row of one instance; None: there is none."""
    table = stack.outputs.get(Output.FLEET_TABLE.value)
    if not table:
        return None
    key = {"pk": {"S": f"{ROW_PREFIX}{instance_id}"}}
    item = aws.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    return read_row(plain(item)) if item else None


def with_row(readiness: Readiness, row: FleetRow | None) -> Readiness:
    """The row's first reason, where no execution says more."""
    if row is None or readiness.code not in _WITHOUT_EXECUTION or not row.reasons:
        return readiness
    reason = row.reasons[0]
    return Readiness(reason.code, reason.observed or reason.code, reason.remedy)


def row_json(row: FleetRow | None) -> dict[str, Any] | None:
    """For --json."""
    if row is None:
        return None
    return {
        "status": row.status.value,
        "since": row.since,
        "reasons": [vars(each) for each in row.reasons],
        "attempts": row.attempts,
        "nextAttemptAt": row.next_attempt_at,
        "error": row.error,
        "profile": row.profile,
        "provenAt": row.proven_at,
        "overrides": dict(row.overrides),
        "executionArn": row.execution_arn,
    }


def row_words(row: FleetRow | None) -> str:
    """failed since 2026-11-30 02:41 UTC, attempt 2, the next one 2026-11-30 04:41 UTC"""
    if row is None or row.status is Status.READY:
        return ""
    parts = [f"{row.status.value} since {_time(row.since)}" if row.since else row.status.value]
    if row.attempts:
        parts.append(f"attempt {row.attempts}")
    if row.next_attempt_at and row.status not in (Status.RETIRED, Status.UNSUPPORTED):
        parts.append(f"the next one {_time(row.next_attempt_at)}")
    return ", ".join(parts)


def overrides_words(row: FleetRow | None) -> str:
    """sizeGib = 20, mountPoint = /dumps"""
    values: Mapping[str, Any] = row.overrides if row else {}
    return ", ".join(f"{name} = {value}" for name, value in sorted(values.items()))


def _time(text: str) -> str:
    try:
        at: datetime | None = moment.parse(text)
    except ValueError:
        at = None
    return moment_of(at)
