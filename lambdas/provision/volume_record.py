"""The table's record of a dump volume: for whom ProvisionDumpVolume created it, and the rescues once it was orphaned.

infra/provision/dump_volume.py writes it when it creates the volume. A tag proves nothing: whoever may tag can set it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from lambdas.incident.update_expression import deserialize, serialize
from lambdas.runtime import clients, moment
from lambdas.runtime.tags import DUMP_VOLUME_RECORD_PREFIX


@dataclass(frozen=True, kw_only=True)
class VolumeRecord:
    """group "": the instance was in none when the volume was created, or an older release created the volume."""

    volume_id: str
    instance_id: str
    group: str = ""
    # Of the instance, for a rescue instance: SubnetId, SecurityGroups, PublicIpAddress.
    network: Mapping[str, Any] = field(default_factory=dict)
    # The rescues that sweeps have started, when the last one was started, and its incident.
    attempts: int = 0
    tried_at: datetime | None = None
    incident_id: str = ""


def read_volume_record(table_name: str, volume_id: str) -> VolumeRecord | None:
    """None: ProvisionDumpVolume did not create the volume."""
    answer = clients.dynamodb().get_item(TableName=table_name, Key=_key(volume_id), ConsistentRead=True)
    if "Item" not in answer:
        return None
    item = deserialize(answer["Item"])
    return VolumeRecord(
        volume_id=volume_id,
        instance_id=str(item.get("instanceId", "")),
        group=str(item.get("autoScalingGroup", "")),
        network=json.loads(item.get("network", "{}")),
        attempts=int(item.get("rescueAttempts", 0)),
        tried_at=moment.parse(item["rescueTriedAt"]) if "rescueTriedAt" in item else None,
        incident_id=str(item.get("rescueIncidentId", "")),
    )


def claim_attempt(table_name: str, volume_id: str, *, attempt: int, group: str, now: datetime) -> bool:
    """Counts the attempt before it is made; False when another sweep has claimed it."""
    return _update(
        table_name,
        volume_id,
        # The fleet table forgets a retired instance; from now on the record names the group.
        "SET rescueAttempts = :attempt, rescueTriedAt = :now, autoScalingGroup = :group",
        "attribute_exists(pk) AND "
        "(rescueAttempts = :before OR (attribute_not_exists(rescueAttempts) AND :before = :none))",
        {":attempt": attempt, ":before": attempt - 1, ":none": 0, ":now": moment.iso(now), ":group": group},
    )


def note_incident(table_name: str, volume_id: str, *, instance_id: str, incident_id: str) -> bool:
    """Notes the incident of the rescue; False when the volume was not created for this instance."""
    return _update(
        table_name,
        volume_id,
        "SET rescueIncidentId = :incident",
        "instanceId = :instance",
        {":incident": incident_id, ":instance": instance_id},
    )


def _update(table_name: str, volume_id: str, expression: str, condition: str, values: Mapping[str, Any]) -> bool:
    try:
        clients.dynamodb().update_item(
            TableName=table_name,
            Key=_key(volume_id),
            UpdateExpression=expression,
            ConditionExpression=condition,
            ExpressionAttributeValues=serialize(values),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _key(volume_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"{DUMP_VOLUME_RECORD_PREFIX}{volume_id}"}}
