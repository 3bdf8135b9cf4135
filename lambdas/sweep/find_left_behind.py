"""Finds dump volumes, what rescues made, hang alarms and multipart uploads, by our tags, names and keys."""

import re
from typing import TYPE_CHECKING, Any

from lambdas.incident.object_keys import VMCORES
from lambdas.runtime import clients
from lambdas.runtime.environment import VmcoreBucketName
from lambdas.runtime.execution_input import INSTANCE_ID
from lambdas.runtime.tags import (
    COPIED_VOLUME_TAG,
    HANG_ALARM_PREFIX,
    INCIDENT_TAG,
    OWNER_TAG,
    RESCUE_EXECUTION_TAG,
    RESCUED_INSTANCE_TAG,
    STACK,
    STACK_TAG,
)
from lambdas.sweep.found import GONE, Alarm, Collector, Snapshot, Upload, Volume
from lambdas.sweep.time_left import TimeLeft

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mypy_boto3_ec2.type_defs import FilterTypeDef, TagTypeDef

# DescribeInstances takes up to 200 values in a filter.
_IDS_A_CALL = 200
# hangdump-i-0123456789abcdef0
_ALARM_NAME = re.compile(f"{HANG_ALARM_PREFIX}({INSTANCE_ID.pattern})")
_ALARM_METRIC = ("AWS/EC2", "StatusCheckFailed_Instance")
# vmcores/123456789012/eu-west-1/i-0123456789abcdef0/20261123T040000Z-i-0123456789abcdef0/vmcore
_KEY = re.compile(VMCORES + r"[0-9]{12}/[a-z0-9-]+/(?P<instance>i-[0-9a-f]+)/(?P<incident>[^/]+)/[^/]+")
_ALIVE = ["pending", "running", "stopping", "stopped", "shutting-down"]


def find_dump_volumes(time_left: TimeLeft) -> tuple[Volume, ...]:
    """Those that ProvisionDumpVolume made."""
    return _volumes("dump volumes", OWNER_TAG, time_left)


def find_copies(time_left: TimeLeft) -> tuple[Volume, ...]:
    """Those that rescues made of dump volumes."""
    return _volumes("copies of dump volumes", RESCUE_EXECUTION_TAG, time_left)


def _volumes(what: str, tag: str, time_left: TimeLeft) -> tuple[Volume, ...]:
    pages = clients.ec2().get_paginator("describe_volumes").paginate(Filters=[_has_tag(tag)])
    return tuple(
        Volume(
            volume_id=volume["VolumeId"],
            is_attached=volume["State"] == "in-use",
            size_gib=volume["Size"],
            copy_of=_mark(volume.get("Tags", []), COPIED_VOLUME_TAG),
            created_at=volume["CreateTime"],
            **_marks(volume.get("Tags", [])),
        )
        for page in time_left.pages(what, pages)
        for volume in page["Volumes"]
        if volume["State"] not in ("deleting", "deleted")
    )


def find_snapshots(time_left: TimeLeft) -> tuple[Snapshot, ...]:
    """Those of this account that a rescue took."""
    pages = (
        clients.ec2()
        .get_paginator("describe_snapshots")
        .paginate(OwnerIds=["self"], Filters=[_has_tag(RESCUE_EXECUTION_TAG)])
    )
    return tuple(
        Snapshot(
            snapshot_id=snapshot["SnapshotId"],
            volume_id=snapshot["VolumeId"],
            created_at=snapshot["StartTime"],
            **_marks(snapshot.get("Tags", [])),
        )
        for page in time_left.pages("snapshots", pages)
        for snapshot in page["Snapshots"]
    )


def find_collectors(time_left: TimeLeft) -> tuple[Collector, ...]:
    """Instances that rescues launched and that are not terminated."""
    filters: list[FilterTypeDef] = [_has_tag(RESCUE_EXECUTION_TAG), {"Name": "instance-state-name", "Values": _ALIVE}]
    pages = clients.ec2().get_paginator("describe_instances").paginate(Filters=filters)
    return tuple(
        Collector(
            collector_id=instance["InstanceId"],
            launched_at=instance["LaunchTime"],
            **_marks(instance.get("Tags", [])),
        )
        for page in time_left.pages("collectors", pages)
        for reservation in page["Reservations"]
        for instance in reservation.get("Instances", [])
    )


def find_states(instance_ids: "Iterable[str]", time_left: TimeLeft) -> dict[str, str]:
    """EC2's state of each, GONE for one that it does not know; those that there was no time for are absent.

    By filter: asked for by id, one unknown instance would make an error of the whole call.
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


def _mark(tags: "Iterable[TagTypeDef]", key: str) -> str:
    return next((tag["Value"] for tag in tags if tag["Key"] == key), "")


def _marks(tags: "Iterable[TagTypeDef]") -> dict[str, Any]:
    marks = {tag["Key"]: tag["Value"] for tag in tags}
    return {
        "instance_id": marks.get(OWNER_TAG) or marks.get(RESCUED_INSTANCE_TAG, ""),
        "rescue": marks.get(RESCUE_EXECUTION_TAG, ""),
        "incident_id": marks.get(INCIDENT_TAG, ""),
        "is_of_this_stack": marks.get(STACK_TAG) == STACK,
    }


def find_alarms(time_left: TimeLeft) -> tuple[Alarm, ...]:
    """Ours by name, metric and dimension: somebody's own alarm that only begins with our word is left alone."""
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
    """Of keys that are named as ours."""
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
