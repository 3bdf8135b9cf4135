"""Reads and writes the fleet table: a row for each instance, and the bell. Owns no decision.

A row is written only over the reading that it was made from: whoever comes second reads again.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from lambdas.fleet.row import ROW_PREFIX, FleetRow, Status, read_row
from lambdas.incident.update_expression import deserialize, serialize
from lambdas.runtime import clients

# The item with the count of rings and the execution that holds it; infra/fleet/bell.py rings, takes and releases it.
BELL, RUNG, HOLDER = "bell", "rung", "holder"


def read_rung(table_name: str) -> int:
    """How often the bell has been rung."""
    answer = clients.dynamodb().get_item(TableName=table_name, Key=serialize({"pk": BELL}), ConsistentRead=True)
    return int(deserialize(answer.get("Item", {})).get(RUNG, 0))


def scan_rows(table_name: str) -> dict[str, FleetRow]:
    """Every row, by its instance."""
    pages = (
        clients.dynamodb()
        .get_paginator("scan")
        .paginate(
            TableName=table_name,
            ConsistentRead=True,
            FilterExpression="begins_with(pk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": ROW_PREFIX}},
        )
    )
    rows = (read_row(deserialize(item)) for page in pages for item in page["Items"])
    return {row.instance_id: row for row in rows}


def read_instance_row(table_name: str, instance_id: str) -> FleetRow | None:
    """The row as last written; None when there is none."""
    answer = clients.dynamodb().get_item(TableName=table_name, Key=_key(instance_id), ConsistentRead=True)
    return read_row(deserialize(answer["Item"])) if answer.get("Item") else None


def write_row(table_name: str, row: FleetRow) -> bool:
    """False when somebody else has written the row since it was read."""
    condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
    if row.revision:
        condition = {
            "ConditionExpression": "revision = :read",
            "ExpressionAttributeValues": serialize({":read": row.revision}),
        }
    item = replace(row, revision=row.revision + 1).as_item()
    try:
        clients.dynamodb().put_item(TableName=table_name, Item=serialize(item), **condition)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def remember_overrides(table_name: str, instance_id: str, overrides: Mapping[str, Any]) -> None:
    """Keeps what the owner gave instead of the stack's settings, in a row that need not exist yet."""
    clients.dynamodb().update_item(
        TableName=table_name,
        Key=_key(instance_id),
        UpdateExpression="SET overrides = :overrides, instanceId = :instance, #status = if_not_exists(#status, :new) "
        "ADD revision :one",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues=serialize(
            {
                ":overrides": json.dumps(overrides, sort_keys=True),
                ":instance": instance_id,
                ":new": Status.NOT_READY.value,
                ":one": 1,
            }
        ),
    )


def forget_row(table_name: str, instance_id: str) -> None:
    """Of a drill's twin, which was never the fleet's."""
    clients.dynamodb().delete_item(TableName=table_name, Key=_key(instance_id))


def _key(instance_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"{ROW_PREFIX}{instance_id}"}}
