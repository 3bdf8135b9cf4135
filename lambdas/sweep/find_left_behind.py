"""Finds dump volumes, short-lived resources, hang alarms and multipart uploads by their tags, names and keys."""

import re
from typing import TYPE_CHECKING, Any

from lambdas.incident.drill_keys import DRILL_PREFIX
from lambdas.incident.object_keys import VMCORES
from lambdas.provision.parked import read_parked, read_snapshot_state, read_snapshots
from lambdas.runtime import clients
from lambdas.runtime.environment import Analysis, Drills, RecordKeeping, Rescue, VmcoreBucketName
from lambdas.runtime.execution import client_token, execution_arn
from lambdas.runtime.execution_input import INSTANCE_ID
from lambdas.runtime.tags import (
    COPIED_VOLUME_TAG,
    DRILL_TAG,
    HANG_ALARM_PREFIX,
    INCIDENT_TAG,
    MADE_FOR_TAG,
    MAKER_TAG,
    OWNER_TAG,
    STACK,
    STACK_TAG,
    is_retained,
    protecting_tags,
)
from lambdas.sweep.found import GONE, Alarm, ParkedSnapshot, ShortLived, Snapshot, Upload, Volume
from lambdas.sweep.time_left import TimeLeft

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef, TagTypeDef

# DescribeInstances takes up to 200 values in a filter.
_IDS_A_CALL = 200
# BatchGetItem.
_ITEMS_A_CALL = 100
# hangdump-i-0123456789abcdef0
_ALARM_NAME = re.compile(f"{HANG_ALARM_PREFIX}({INSTANCE_ID.pattern})")
_ALARM_METRIC = ("AWS/EC2", "StatusCheckFailed_Instance")
# vmcores/123456789012/eu-west-1/i-0123456789abcdef0/20261123T040000Z-i-0123456789abcdef0/vmcore
_KEY = re.compile(VMCORES + r"[0-9]{12}/[a-z0-9-]+/(?P<instance>i-[0-9a-f]+)/(?P<incident>[^/]+)/[^/]+")
_ALIVE = ["pending", "running", "stopping", "stopped", "shutting-down"]


def find_dump_volumes(time_left: TimeLeft) -> tuple[Volume, ...]:
    """The dump volumes that ProvisionDumpVolume created."""
    return _volumes("dump volumes", OWNER_TAG, time_left)


def find_short_lived_volumes(time_left: TimeLeft) -> tuple[Volume, ...]:
    """The volumes of instances that executions launched: copies of dump volumes, and roots."""
    return _volumes("volumes of short-lived instances", MAKER_TAG, time_left)


def _volumes(kind: str, tag: str, time_left: TimeLeft) -> tuple[Volume, ...]:
    pages = clients.ec2().get_paginator("describe_volumes").paginate(Filters=[_has_tag(tag)])
    return tuple(
        Volume(
            volume_id=volume["VolumeId"],
            is_attached=volume["State"] == "in-use",
            size_gib=volume["Size"],
            copy_of=_tag(volume.get("Tags", []), COPIED_VOLUME_TAG),
            created_at=volume["CreateTime"],
            is_available=volume["State"] == "available",
            is_of_stack=_tag(volume.get("Tags", []), STACK_TAG) == STACK,
            is_retained=is_retained(tag["Key"] for tag in volume.get("Tags", [])),
            **_origin(volume.get("Tags", [])),
        )
        for page in time_left.pages(kind, pages)
        for volume in page["Volumes"]
        if volume["State"] not in ("deleting", "deleted")
    )


def find_snapshots(time_left: TimeLeft) -> tuple[Snapshot, ...]:
    """The snapshots that rescues took in this account."""
    pages = clients.ec2().get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=[_has_tag(MAKER_TAG)])
    return tuple(
        Snapshot(
            snapshot_id=snapshot["SnapshotId"],
            volume_id=snapshot["VolumeId"],
            created_at=snapshot["StartTime"],
            **_origin(snapshot.get("Tags", [])),
        )
        for page in time_left.pages("snapshots", pages)
        for snapshot in page["Snapshots"]
    )


def find_parked_snapshots(time_left: TimeLeft) -> tuple[ParkedSnapshot, ...]:
    """The snapshots of parked dump volumes."""
    pages = clients.ec2().get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=[_has_tag(OWNER_TAG)])
    return tuple(
        ParkedSnapshot(
            snapshot_id=snapshot["SnapshotId"],
            instance_id=_tag(snapshot.get("Tags", []), OWNER_TAG),
            created_at=snapshot["StartTime"],
            is_of_stack=_tag(snapshot.get("Tags", []), STACK_TAG) == STACK,
        )
        for page in time_left.pages("parked dump volumes", pages)
        for snapshot in page["Snapshots"]
    )


def find_parked(instance_ids: "Iterable[str]", time_left: TimeLeft) -> dict[str, str]:
    """By instance, the snapshot of its record, "" without one. Those that were not read are absent."""
    wanted = sorted(set(instance_ids) - {""})
    chunks = [wanted[start : start + _ITEMS_A_CALL] for start in range(0, len(wanted), _ITEMS_A_CALL)]
    found: dict[str, str] = {}
    for chunk in time_left.pages("records of parked dump volumes", chunks):
        found |= read_snapshots(RecordKeeping.read().table_name, chunk)
    return found


def find_unparked(
    parked: "Mapping[str, str]", snapshots: "Iterable[ParkedSnapshot]", time_left: TimeLeft
) -> frozenset[str]:
    """The instances whose record names a snapshot that is gone.

    Asked once more of each that seems so: it may have been parked anew since its snapshot was looked for.
    """
    there = {each.snapshot_id for each in snapshots}
    suspects = [instance_id for instance_id, snapshot_id in parked.items() if snapshot_id and snapshot_id not in there]
    table_name = RecordKeeping.read().table_name
    unparked = set()
    for instance_id in time_left.pages("parked dump volumes that are gone", suspects):
        now = read_parked(table_name, instance_id)
        if now is not None and not read_snapshot_state(now.snapshot_id):
            unparked.add(instance_id)
    return frozenset(unparked)


def find_short_lived(time_left: TimeLeft) -> tuple[ShortLived, ...]:
    """The instances that executions launched and that are not terminated."""
    filters: list[FilterTypeDef] = [_has_tag(MAKER_TAG), {"Name": "instance-state-name", "Values": _ALIVE}]
    pages = clients.ec2().get_paginator("describe_instances").paginate(Filters=filters)
    machines = (Rescue.read().rescue_vmcore_arn, Analysis.read().analyze_vmcore_arn, Drills.read().drill_dump_arn)
    return tuple(
        ShortLived(
            short_lived_id=instance["InstanceId"],
            launched_at=instance["LaunchTime"],
            is_of_its_maker=_is_launched_by(_tag(instance.get("Tags", []), MAKER_TAG), machines, instance),
            **_origin(instance.get("Tags", [])),
        )
        for page in time_left.pages("short-lived instances", pages)
        for reservation in page["Reservations"]
        for instance in reservation.get("Instances", [])
    )


def _is_launched_by(name: str, machines: "Iterable[str]", instance: "InstanceTypeDef") -> bool:
    """Whether an execution of that name launched it: anybody may have tagged it, but nobody chooses its token."""
    return instance.get("ClientToken") in {client_token(execution_arn(each, name)) for each in machines}


def find_states(instance_ids: "Iterable[str]", time_left: TimeLeft) -> dict[str, str]:
    """The instances' states; GONE for an unknown one. Instances that there was no time for are absent.

    Uses a filter: a query by id fails as a whole if one instance is unknown.
    """
    states: dict[str, str] = {}
    wanted = sorted(set(instance_ids) - {""})
    chunks = [wanted[start : start + _IDS_A_CALL] for start in range(0, len(wanted), _IDS_A_CALL)]
    for chunk in time_left.pages("states of instances", chunks):
        states |= dict.fromkeys(chunk, GONE) | _states(chunk)
    return states


def _states(instance_ids: "Sequence[str]") -> dict[str, str]:
    filters: list[FilterTypeDef] = [{"Name": "instance-id", "Values": list(instance_ids)}]
    pages = clients.ec2().get_paginator("describe_instances").paginate(Filters=filters)
    return {
        instance["InstanceId"]: instance["State"]["Name"]
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation.get("Instances", [])
    }


def _has_tag(key: str) -> "FilterTypeDef":
    return {"Name": "tag-key", "Values": [key]}


def _tag(tags: "Iterable[TagTypeDef]", key: str) -> str:
    return next((tag["Value"] for tag in tags if tag["Key"] == key), "")


def _origin(tags: "Iterable[TagTypeDef]") -> dict[str, Any]:
    values = {tag["Key"]: tag["Value"] for tag in tags}
    drill = values.get(DRILL_TAG)
    return {
        "instance_id": values.get(OWNER_TAG) or values.get(MADE_FOR_TAG, ""),
        "maker": values.get(MAKER_TAG, ""),
        "incident_id": f"{DRILL_PREFIX}{drill}" if drill else values.get(INCIDENT_TAG, ""),
        "is_removable": values.get(STACK_TAG) == STACK and not protecting_tags(values),
    }


def find_alarms(time_left: TimeLeft) -> tuple[Alarm, ...]:
    """The hang alarms, by name, metric and dimension. Other alarms whose name only begins the same are left alone."""
    pages = (
        clients.cloudwatch()
        .get_paginator("describe_alarms")
        .paginate(AlarmNamePrefix=HANG_ALARM_PREFIX, AlarmTypes=["MetricAlarm"])
    )
    found = []
    for page in time_left.pages("alarms", pages):
        for alarm in page["MetricAlarms"]:
            named = _ALARM_NAME.fullmatch(alarm["AlarmName"])
            dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions", [])}
            if named is None or dimensions != {"InstanceId": named[1]}:
                continue
            if (alarm.get("Namespace"), alarm.get("MetricName")) != _ALARM_METRIC:
                continue
            updated_at = alarm["AlarmConfigurationUpdatedTimestamp"]
            found.append(Alarm(name=alarm["AlarmName"], instance_id=named[1], updated_at=updated_at))
    return tuple(found)


def find_uploads(time_left: TimeLeft) -> tuple[Upload, ...]:
    """The multipart uploads whose key is that of an incident's object."""
    bucket = VmcoreBucketName.read().bucket_name
    pages = clients.s3().get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=VMCORES)
    return tuple(
        Upload(
            key=upload["Key"],
            upload_id=upload["UploadId"],
            instance_id=named["instance"],
            incident_id=named["incident"],
            initiated_at=upload["Initiated"],
        )
        for page in time_left.pages("multipart uploads", pages)
        for upload in page.get("Uploads", [])
        if (named := _KEY.fullmatch(upload["Key"]))
    )
