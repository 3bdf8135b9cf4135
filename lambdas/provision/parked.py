"""The record parked#<instance id>: the snapshot that an instance's dump volume is made from when the instance crashes.

ProvisionDumpVolume writes it when it parks a volume. The record, not a tag, says which snapshot it is: whoever may tag
could hand a host a file system of theirs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lambdas.incident.read_items import read_items
from lambdas.incident.update_expression import deserialize
from lambdas.runtime import clients
from lambdas.runtime.tags import PARKED_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

# The state of a snapshot that a volume can be made from.
COMPLETED = "completed"


@dataclass(frozen=True, kw_only=True)
class Parked:
    """The parked dump volume of an instance, its file system, for which the crash kernel waits, and its mount point."""

    snapshot_id: str
    # The volume that was parked so.
    volume_id: str
    size_gib: int
    uuid: str
    mount_point: str


def read_parked(table_name: str, instance_id: str) -> Parked | None:
    """None: the dump volume of the instance is not parked."""
    answer = clients.dynamodb().get_item(TableName=table_name, Key=_key(instance_id), ConsistentRead=True)
    if "Item" not in answer:
        return None
    item = deserialize(answer["Item"])
    return Parked(
        snapshot_id=str(item["snapshotId"]),
        volume_id=str(item["volumeId"]),
        size_gib=int(item["sizeGib"]),
        uuid=str(item["uuid"]),
        mount_point=str(item["mountPoint"]),
    )


def read_snapshots(table_name: str, instance_ids: Iterable[str]) -> dict[str, str]:
    """By instance, the snapshot that its record names, "" without a record. Those left unread are absent."""
    keys = {f"{PARKED_PREFIX}{each}": each for each in instance_ids}
    items = read_items(table_name, keys, is_consistent=False)
    return {
        instance_id: str(items.found.get(key, {}).get("snapshotId", ""))
        for key, instance_id in keys.items()
        if key not in items.unread
    }


def read_snapshot_state(snapshot_id: str) -> str:
    """pending, completed or error; empty: there is no such snapshot. A volume can be made from a completed one."""
    # By a filter: a query by id fails for one that is gone.
    filters: list[FilterTypeDef] = [{"Name": "snapshot-id", "Values": [snapshot_id]}]
    snapshots = clients.ec2().describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    return snapshots[0]["State"] if snapshots else ""


def forget_parked(table_name: str, instance_id: str) -> str:
    """Deletes the snapshot, which is empty, and then the record; the snapshot's id, or "" if there was none."""
    parked = read_parked(table_name, instance_id)
    if parked is None:
        return ""
    # IAM sees no tag of one that is gone, and would deny its deletion.
    if read_snapshot_state(parked.snapshot_id):
        clients.ec2().delete_snapshot(SnapshotId=parked.snapshot_id)
    clients.dynamodb().delete_item(TableName=table_name, Key=_key(instance_id))
    return parked.snapshot_id


def _key(instance_id: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": f"{PARKED_PREFIX}{instance_id}"}}
