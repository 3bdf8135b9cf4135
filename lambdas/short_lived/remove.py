"""Removes what an execution made: instances, snapshots, volumes. Each function yields the ids that are still there.

Tags find the resources, but whoever may tag could name another one. What is removed also needs an incident whose record
names this execution (made_by.py), and must be neither enrolled nor a dump volume.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.incident.drill_keys import DRILL_PREFIX
from lambdas.incident.record import Incident, record_key
from lambdas.incident.update_expression import deserialize
from lambdas.runtime import clients
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.execution import client_token
from lambdas.runtime.observability import logger
from lambdas.runtime.tags import (
    DRILL_TAG,
    INCIDENT_TAG,
    MADE_FOR_TAG,
    MAKER_TAG,
    STACK,
    STACK_TAG,
    protecting_tags,
)
from lambdas.short_lived.made_by import why_not_made_by

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef, TagTypeDef


_GONE = {"InvalidInstanceID.NotFound", "InvalidSnapshot.NotFound", "InvalidVolume.NotFound"}
_ALIVE = ["pending", "running", "stopping", "stopped", "shutting-down"]
# A filter of EC2 takes * and ? for anything; no name of an execution has them.
_NAME = re.compile(r"[^*?\\\s]{1,80}")


class Maker:
    """An execution that makes things: finds its resources, and decides which of them are really its own."""

    def __init__(self, execution_name: str, table_name: str, *, execution_id: str = "") -> None:
        """Without `execution_id`, as rescues of an older version call, tags and record must suffice."""
        if not _NAME.fullmatch(execution_name):
            raise InvalidInput(f"{execution_name[:100]!r} is no name of an execution.", "Give one without wildcards.")
        self._name = execution_name
        self.client_token = client_token(execution_id) if execution_id else ""
        self._table_name = table_name
        self._incidents: dict[str, Incident | None] = {}

    @property
    def mark(self) -> "list[FilterTypeDef]":
        """The filter for its resources."""
        return [{"Name": f"tag:{MAKER_TAG}", "Values": [self._name]}]

    def has_made(
        self, resource_id: str, tags: "Iterable[TagTypeDef]", made_at: datetime, *, is_instance: bool = False
    ) -> bool:
        """Whether it may be removed. One that may not is only logged: the execution does not wait for it."""
        why = self._why_not({tag["Key"]: tag["Value"] for tag in tags}, made_at, is_instance=is_instance)
        if why:
            logger.warning("%s is not removed: %s", resource_id, why)
        return not why

    def has_launched(self, instance: "InstanceTypeDef") -> bool:
        """Whether it may be terminated. Nobody can give an instance the token of another launch."""
        if self.client_token and instance.get("ClientToken") != self.client_token:
            logger.warning("%s is not removed: this execution did not launch it", instance["InstanceId"])
            return False
        tags = instance.get("Tags", [])
        return self.has_made(instance["InstanceId"], tags, instance["LaunchTime"], is_instance=True)

    def _why_not(self, tags: dict[str, str], made_at: datetime, *, is_instance: bool) -> str:
        if tags.get(MAKER_TAG) != self._name or tags.get(STACK_TAG) != STACK:
            return "its tags are not those of this execution"
        if protecting := protecting_tags(tags):
            return f"it is tagged {min(protecting)}"
        drill = tags.get(DRILL_TAG)
        incident = self._read(f"{DRILL_PREFIX}{drill}" if drill else tags.get(INCIDENT_TAG, ""))
        return why_not_made_by(
            self._name, incident, for_instance=tags.get(MADE_FOR_TAG, ""), made_at=made_at, is_instance=is_instance
        )

    def _read(self, incident_id: str) -> Incident | None:
        """Does not use IncidentTable, which also writes: this function may only read."""
        if incident_id not in self._incidents:
            key = {"pk": {"S": record_key(incident_id)}}
            answer = clients.dynamodb().get_item(TableName=self._table_name, Key=key, ConsistentRead=True)
            known = Incident.model_validate(deserialize(answer["Item"])) if "Item" in answer else None
            self._incidents[incident_id] = known
        return self._incidents[incident_id]


def end_instances(maker: Maker) -> Iterator[str]:
    """Terminates instances. One that is shutting down still counts: its volumes are still attached. So does one that
    the execution launched and may not terminate, because somebody changed its other tags."""
    alive: FilterTypeDef = {"Name": "instance-state-name", "Values": _ALIVE}
    for page in clients.ec2().get_paginator("describe_instances").paginate(Filters=[*maker.mark, alive]):
        for instance in (each for reservation in page["Reservations"] for each in reservation.get("Instances", [])):
            name = instance["InstanceId"]
            if maker.has_launched(instance):
                if instance["State"]["Name"] != "shutting-down":
                    _attempt(name, lambda name=name: clients.ec2().terminate_instances(InstanceIds=[name]))  # type: ignore[misc]
            elif not maker.client_token or instance.get("ClientToken") != maker.client_token:
                continue
            yield name


def delete_snapshots(maker: Maker) -> Iterator[str]:
    for page in clients.ec2().get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=maker.mark):
        for snapshot in page["Snapshots"]:
            name = snapshot["SnapshotId"]
            if not maker.has_made(name, snapshot.get("Tags", []), snapshot["StartTime"]):
                continue
            if not _attempt(name, lambda name=name: clients.ec2().delete_snapshot(SnapshotId=name)):  # type: ignore[misc]
                yield name


def delete_volumes(maker: Maker) -> Iterator[str]:
    """Deletes volumes that are free. EC2 deletes the others with their instance."""
    for page in clients.ec2().get_paginator("describe_volumes").paginate(Filters=maker.mark):
        for volume in page["Volumes"]:
            name = volume["VolumeId"]
            if volume["State"] in ("deleting", "deleted"):
                continue
            if not maker.has_made(name, volume.get("Tags", []), volume["CreateTime"]):
                continue
            is_free = volume["State"] in ("available", "error")
            if not is_free or not _attempt(name, lambda name=name: clients.ec2().delete_volume(VolumeId=name)):  # type: ignore[misc]
                yield name


def _attempt(name: str, remove: Callable[[], Any]) -> bool:
    """A failure must not stop the other removals; the next call tries again."""
    try:
        remove()
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return True
        logger.warning("%s could not be removed: %s", name, error)
        return False
    except BotoCoreError as error:
        logger.warning("%s could not be removed: %s", name, error)
        return False
    return True
