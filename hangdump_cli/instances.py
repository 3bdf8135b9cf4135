"""What EC2 and Systems Manager say of instances and their dump volumes. Reads, and judges nothing."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from hangdump_cli.aws import Aws
from hangdump_cli.errors import CommandFailed, Exit, NotFound, code_of
from lambdas.runtime.errors import InstanceNotFound
from lambdas.runtime.tags import (
    AUTO_SCALING_GROUP_TAG,
    DISARMED_TAG,
    ENROLLED_TAG,
    OWNER_TAG,
    PROFILE_TAG,
    READY_KERNEL_TAG,
    hang_alarm_name,
    is_enrolled,
    ready_epoch,
)

# DescribeInstanceInformation and DescribeInstanceTypes take up to 100 values.
_VALUES_A_CALL = 100
# The state of a dump volume that is a snapshot until its instance crashes.
PARKED = "parked"
_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?")


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance, and when its agent last pinged."""

    instance_id: str
    state: str
    instance_type: str
    zone: str
    launched_at: datetime
    is_windows: bool = False
    image_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    # Online | ConnectionLost | Inactive | "" for an instance that Systems Manager does not know
    ping: str = ""
    last_ping_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.tags.get("Name", "")

    @property
    def is_enrolled(self) -> bool:
        return is_enrolled(self.tags)

    @property
    def is_marked_ready(self) -> bool:
        return bool(ready_epoch(self.tags))

    @property
    def kernel(self) -> str:
        """The kernel with which it was last seen ready."""
        return self.tags.get(READY_KERNEL_TAG, "")

    @property
    def disarmed_by(self) -> str:
        """The incident whose dump showed no hang; "" if alarms may interrupt it."""
        return self.tags.get(DISARMED_TAG, "")

    @property
    def profile(self) -> str:
        """The profile of the stack's settings that its owner picked; "" for none."""
        return self.tags.get(PROFILE_TAG, "")

    @property
    def group(self) -> str:
        """Its Auto Scaling group."""
        return self.tags.get(AUTO_SCALING_GROUP_TAG, "")


@dataclass(frozen=True)
class InstanceType:
    """hypervisor is nitro, xen, bare-metal or unknown."""

    hypervisor: str
    architectures: tuple[str, ...]
    memory_mib: int


@dataclass(frozen=True)
class Volume:
    """A dump volume; `attached_to` is "" when it is free."""

    volume_id: str
    size_gib: int
    state: str
    attached_to: str = ""
    zone: str = ""
    is_encrypted: bool = True
    is_leaving: bool = False

    def __str__(self) -> str:
        free = "" if self.attached_to else f", {self.state}"
        return f"{self.volume_id} ({self.size_gib} GiB{free})"


@dataclass(frozen=True)
class Checks:
    """The status checks: ok, impaired, insufficient-data, initializing, not-applicable."""

    system: str
    instance: str
    attached_ebs: str


def require_id(text: str) -> str:
    """Raises CommandFailed for what is no instance's id."""
    if not _INSTANCE_ID.fullmatch(text):
        raise CommandFailed(
            f"{text} is no instance id.",
            "One looks like i-0123456789abcdef0.",
            name="InvalidInstanceId",
            exit_code=Exit.USAGE,
        )
    return text


def enrolled(aws: Aws, *, with_pings: bool = True) -> list[Instance]:
    """All enrolled instances that are not terminated, by name."""
    states = ["pending", "running", "stopping", "stopped", "shutting-down"]
    filters = [
        {"Name": f"tag:{ENROLLED_TAG}", "Values": ["true"]},
        {"Name": "instance-state-name", "Values": states},
    ]
    found = [_instance(each) for page in aws.pages("ec2", "describe_instances", Filters=filters) for each in _of(page)]
    return sorted(_with_pings(aws, found) if with_pings else found, key=lambda each: (each.name, each.instance_id))


def named(aws: Aws, instance_ids: Sequence[str]) -> list[Instance]:
    """In the given order. Raises NotFound for the first that EC2 does not know."""
    for each in instance_ids:
        require_id(each)
    try:
        pages = [
            page for chunk in chunks(instance_ids) for page in aws.pages("ec2", "describe_instances", InstanceIds=chunk)
        ]
    except ClientError as error:
        if not code_of(error).startswith("InvalidInstanceID"):
            raise
        message = error.response["Error"]["Message"]
        raise NotFound(message, InstanceNotFound.next_step, name=InstanceNotFound.__name__) from error
    found = {
        each.instance_id: each for each in _with_pings(aws, [_instance(one) for page in pages for one in _of(page)])
    }
    wanted = list(dict.fromkeys(instance_ids))
    if missing := [each for each in wanted if each not in found]:
        # DescribeInstances is consistent only after a while.
        raise NotFound(
            f"EC2 does not show {', '.join(missing)}.", InstanceNotFound.next_step, name=InstanceNotFound.__name__
        )
    return [found[each] for each in wanted]


def types(aws: Aws, instances: Sequence[Instance]) -> dict[str, InstanceType]:
    """By their names."""
    wanted = sorted({each.instance_type for each in instances})
    return {
        each["InstanceType"]: InstanceType(
            "bare-metal" if each.get("BareMetal") else each.get("Hypervisor", "unknown"),
            tuple(each.get("ProcessorInfo", {}).get("SupportedArchitectures", [])),
            each.get("MemoryInfo", {}).get("SizeInMiB", 0),
        )
        for chunk in chunks(wanted)
        for each in aws.client("ec2").describe_instance_types(InstanceTypes=chunk)["InstanceTypes"]
    }


def dump_volumes(aws: Aws, instance_ids: Sequence[str] = ()) -> dict[str, list[Volume]]:
    """The dump volumes of these instances, or of all; by instance."""
    name = f"tag:{OWNER_TAG}" if instance_ids else "tag-key"
    found: dict[str, list[Volume]] = {}
    for chunk in chunks(list(instance_ids) or [OWNER_TAG]):
        for page in aws.pages("ec2", "describe_volumes", Filters=[{"Name": name, "Values": chunk}]):
            for each in page["Volumes"]:
                owner = next(tag["Value"] for tag in each["Tags"] if tag["Key"] == OWNER_TAG)
                found.setdefault(owner, []).append(_volume(each))
    return found


def parked_volumes(aws: Aws, instance_ids: Sequence[str] = ()) -> dict[str, list[Volume]]:
    """The parked dump volumes of these instances, or of all; by instance. Each is a snapshot."""
    name = f"tag:{OWNER_TAG}" if instance_ids else "tag-key"
    found: dict[str, list[Volume]] = {}
    for chunk in chunks(list(instance_ids) or [OWNER_TAG]):
        filters = [{"Name": name, "Values": chunk}]
        for page in aws.pages("ec2", "describe_snapshots", OwnerIds=["self"], Filters=filters):
            for each in page["Snapshots"]:
                owner = next(tag["Value"] for tag in each["Tags"] if tag["Key"] == OWNER_TAG)
                found.setdefault(owner, []).append(Volume(each["SnapshotId"], each["VolumeSize"], PARKED))
    return found


def checks(aws: Aws, instance_id: str) -> Checks | None:
    """None when EC2 has no status for the instance."""
    answer = aws.client("ec2").describe_instance_status(InstanceIds=[instance_id], IncludeAllInstances=True)
    for each in answer["InstanceStatuses"]:
        return Checks(
            each.get("SystemStatus", {}).get("Status", "insufficient-data"),
            each.get("InstanceStatus", {}).get("Status", "insufficient-data"),
            each.get("AttachedEbsStatus", {}).get("Status", "not-applicable"),
        )
    return None


def hang_alarms(aws: Aws, instance_id: str = "i-") -> set[str]:
    """The names of the hang alarms of an instance, or of all."""
    prefix = hang_alarm_name(instance_id)
    pages = aws.pages("cloudwatch", "describe_alarms", AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"])
    return {each["AlarmName"] for page in pages for each in page["MetricAlarms"]}


def _volume(each: Mapping[str, Any]) -> Volume:
    # gp3 has no Multi-Attach: there is one attachment at most.
    attachment = each["Attachments"][0] if each.get("Attachments") else {}
    return Volume(
        each["VolumeId"],
        each["Size"],
        each["State"],
        attached_to=attachment.get("InstanceId", ""),
        zone=each["AvailabilityZone"],
        is_encrypted=each.get("Encrypted", False),
        is_leaving=attachment.get("State") == "detaching",
    )


def _of(page: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for reservation in page["Reservations"]:
        yield from reservation.get("Instances", [])


def _instance(each: Mapping[str, Any]) -> Instance:
    return Instance(
        instance_id=each["InstanceId"],
        state=each["State"]["Name"],
        instance_type=each["InstanceType"],
        zone=each["Placement"]["AvailabilityZone"],
        launched_at=each["LaunchTime"],
        image_id=each.get("ImageId", ""),
        is_windows=each.get("Platform", "").lower() == "windows",
        tags={tag["Key"]: tag["Value"] for tag in each.get("Tags", [])},
    )


def _with_pings(aws: Aws, instances: Sequence[Instance]) -> list[Instance]:
    pings: dict[str, Mapping[str, Any]] = {}
    for chunk in chunks([each.instance_id for each in instances]):
        filters = [{"Key": "InstanceIds", "Values": chunk}]
        for page in aws.pages("ssm", "describe_instance_information", Filters=filters):
            pings |= {each["InstanceId"]: each for each in page["InstanceInformationList"]}
    return [_with_ping(each, pings.get(each.instance_id, {})) for each in instances]


def _with_ping(instance: Instance, ping: Mapping[str, Any]) -> Instance:
    windows = instance.is_windows or ping.get("PlatformType") == "Windows"
    known = {**vars(instance), "is_windows": windows, "ping": ping.get("PingStatus", "")}
    return Instance(**{**known, "last_ping_at": ping.get("LastPingDateTime")})


def chunks(values: Sequence[str]) -> Iterator[list[str]]:
    """As many values as one call takes."""
    for start in range(0, len(values), _VALUES_A_CALL):
        yield list(values[start : start + _VALUES_A_CALL])
