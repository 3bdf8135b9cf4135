"""Finds the instances that a plan is about, and those of them that Systems Manager does not reach. Judges nothing."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from random import sample
from typing import TYPE_CHECKING, Any

from lambdas.fleet.plan import Member
from lambdas.fleet.row import FleetRow, Status
from lambdas.runtime import clients
from lambdas.runtime.tags import (
    AUTO_SCALING_GROUP_TAG,
    DRILL_TAG,
    ENROLLED_TAG,
    PROFILE_TAG,
    READY_KERNEL_TAG,
    ready_epoch,
)

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

# Each costs a request of its own.
_MOST_FAILED_CHECKS = 500
# DescribeInstances takes up to 200 values in a filter, DescribeInstanceInformation 100.
_IDS_A_CALL = 200
_PINGS_A_CALL = 100
_PAGE = 1000


def find_members(rows: Mapping[str, FleetRow]) -> dict[str, Member]:
    """Every instance with the owner's tag, and those of the rows that have lost it but still exist.

    Those are asked for by id: EC2 may be late with a tag, and nobody is retired because a list was.
    """
    found = _describe([{"Name": "tag-key", "Values": [ENROLLED_TAG]}])
    missing = sorted(
        instance_id for instance_id, row in rows.items() if instance_id not in found and row.status != Status.RETIRED
    )
    for start in range(0, len(missing), _IDS_A_CALL):
        # A filter: a query by id fails as a whole if one instance is unknown.
        found |= _describe([{"Name": "instance-id", "Values": missing[start : start + _IDS_A_CALL]}])
    return found


def _describe(filters: Sequence[Any]) -> dict[str, Member]:
    pages = (
        clients.ec2()
        .get_paginator("describe_instances")
        .paginate(Filters=filters, PaginationConfig={"PageSize": _PAGE})
    )
    members = (
        _member(instance)
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation.get("Instances", [])
    )
    return {each.instance_id: each for each in members}


def _member(instance: "InstanceTypeDef") -> Member:
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    return Member(
        instance_id=instance["InstanceId"],
        state=instance["State"]["Name"],
        enrolled=tags.get(ENROLLED_TAG),
        launched_at=instance["LaunchTime"],
        is_marked_ready=bool(ready_epoch(tags)),
        group=tags.get(AUTO_SCALING_GROUP_TAG, ""),
        zone=instance["Placement"]["AvailabilityZone"],
        profile=tags.get(PROFILE_TAG, ""),
        image_id=instance.get("ImageId", ""),
        instance_type=instance["InstanceType"],
        kernel=tags.get(READY_KERNEL_TAG, ""),
        drill=tags.get(DRILL_TAG, ""),
    )


def find_failed_checks(association_id: str, ready: Container[str]) -> dict[str, datetime]:
    """Of the instances that are marked ready those whose last run of the association failed, and when that was.

    Systems Manager names those for which any association failed, also one of somebody else. If they are very many, each
    plan looks at others: those of somebody else may fail for ever.
    """
    filters: Any = [
        {"Key": "AssociationStatus", "Values": ["Failed"]},
        {"Key": f"tag:{ENROLLED_TAG}", "Values": ["true"]},
    ]
    pages = clients.ssm().get_paginator("describe_instance_information").paginate(Filters=filters)
    named = (each["InstanceId"] for page in pages for each in page["InstanceInformationList"])
    suspects = [instance_id for instance_id in named if instance_id in ready]
    return {
        instance_id: run["ExecutionDate"]
        for instance_id in sample(suspects, min(len(suspects), _MOST_FAILED_CHECKS))
        for run in _associations_of(instance_id)
        if run["AssociationId"] == association_id and run.get("Status") == "Failed" and "ExecutionDate" in run
    }


def _associations_of(instance_id: str) -> Iterator[Any]:
    pages = clients.ssm().get_paginator("describe_instance_associations_status").paginate(InstanceId=instance_id)
    return (each for page in pages for each in page["InstanceAssociationStatusInfos"])


def find_silent(instance_ids: Iterable[str]) -> set[str]:
    """Those whose agent is not online, or was never heard of."""
    wanted = sorted(instance_ids)
    online: set[str] = set()
    for start in range(0, len(wanted), _PINGS_A_CALL):
        filters: Any = [{"Key": "InstanceIds", "Values": wanted[start : start + _PINGS_A_CALL]}]
        pages = clients.ssm().get_paginator("describe_instance_information").paginate(Filters=filters)
        online |= {
            each["InstanceId"]
            for page in pages
            for each in page["InstanceInformationList"]
            if each["PingStatus"] == "Online"
        }
    return set(wanted) - online
