"""Removes what a rescue created: instance, snapshot, volumes. Each function yields the ids that are still there."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.runtime import clients
from lambdas.runtime.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef


_GONE = {"InvalidInstanceID.NotFound", "InvalidSnapshot.NotFound", "InvalidVolume.NotFound"}
_ALIVE = ["pending", "running", "stopping", "stopped", "shutting-down"]


def end_collectors(mark: "list[FilterTypeDef]") -> Iterator[str]:
    """Terminates rescue instances. One that is shutting down still counts: its copy is still attached."""
    alive: FilterTypeDef = {"Name": "instance-state-name", "Values": _ALIVE}
    for page in clients.ec2().get_paginator("describe_instances").paginate(Filters=[*mark, alive]):
        for reservation in page["Reservations"]:
            for instance in reservation.get("Instances", []):
                name = instance["InstanceId"]
                if instance["State"]["Name"] != "shutting-down":
                    _attempt(name, lambda name=name: clients.ec2().terminate_instances(InstanceIds=[name]))  # type: ignore[misc]
                yield name


def delete_snapshots(mark: "list[FilterTypeDef]") -> Iterator[str]:
    for page in clients.ec2().get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=mark):
        for snapshot in page["Snapshots"]:
            name = snapshot["SnapshotId"]
            if not _attempt(name, lambda name=name: clients.ec2().delete_snapshot(SnapshotId=name)):  # type: ignore[misc]
                yield name


def delete_copies(mark: "list[FilterTypeDef]") -> Iterator[str]:
    """Deletes copies that are free. EC2 deletes the others with their rescue instance."""
    for page in clients.ec2().get_paginator("describe_volumes").paginate(Filters=mark):
        for volume in page["Volumes"]:
            name = volume["VolumeId"]
            if volume["State"] in ("deleting", "deleted"):
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
