"""Reads an instance's facts from EC2 and Systems Manager. Judges nothing."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.incident.record import ConsoleBaseline
from lambdas.runtime import clients
from lambdas.runtime.tags import (
    AUTO_SCALING_GROUP_TAG,
    DRILL_TAG,
    ENROLLED_TAG,
    PROFILE_TAG,
    is_enrolled,
    ready_epoch,
)

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceStatusTypeDef, InstanceTypeDef

_NEVER = datetime.fromtimestamp(0, UTC)
_NETWORK = ("SubnetId", "SecurityGroups", "PublicIpAddress")
_LAUNCHED_FROM = ("ImageId", "InstanceType", "Architecture")

# Long enough to find the console's end again in a later reading.
_BASELINE_CHARACTERS = 512
# Far more than it takes to see that a zone is at fault.
_MOST_IMPAIRED = 100
# As many as DescribeInstanceInformation takes in one filter.
_MOST_PINGS = 100


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance as DescribeInstances shows it."""

    instance_id: str
    state: str
    instance_type: str
    availability_zone: str
    is_windows: bool
    tags: dict[str, str]
    # /dev/sda1, /dev/xvdf, …
    device_names: tuple[str, ...]
    # Why it is in its state: Client.InstanceInitiatedShutdown, Client.UserInitiatedShutdown, … (API_StateReason)
    state_reason: str = ""
    # The last start; a reboot does not change it.
    launched_at: datetime = _NEVER
    # SubnetId, SecurityGroups and PublicIpAddress, as DescribeInstances gives them.
    network: dict[str, Any] = field(default_factory=dict)
    # ImageId, InstanceType and Architecture.
    launched_from: dict[str, Any] = field(default_factory=dict)
    # Given at the launch, and never again: whoever may tag cannot change it.
    client_token: str = ""

    @property
    def is_enrolled(self) -> bool:
        """Whether the owner opted in: exactly `true`, because any other spelling leaves doubt."""
        return is_enrolled(self.tags)

    @property
    def ready_epoch(self) -> int:
        """When kdump was last seen ready, by ProvisionDumpVolume or a sweep; 0: never, or the tag is no time."""
        return ready_epoch(self.tags)

    @property
    def is_burstable(self) -> bool:
        """Whether its processors run on credits: t2, t3, t3a, t4g, …"""
        return re.match(r"t\d", self.instance_type) is not None

    @property
    def auto_scaling_group(self) -> str:
        """The group's name; empty: the instance is in no group."""
        return self.tags.get(AUTO_SCALING_GROUP_TAG, "")

    @property
    def profile(self) -> str:
        """The profile that its owner picked; empty: none, the stack's settings are its own."""
        return self.tags.get(PROFILE_TAG, "")

    @property
    def drill(self) -> str:
        """The drill whose twin it is, by its tag; empty: none."""
        return self.tags.get(DRILL_TAG, "")


@dataclass(frozen=True)
class InstanceType:
    """One instance type; hypervisor is nitro, xen or bare-metal."""

    hypervisor: str
    architectures: tuple[str, ...]
    memory_mib: int

    @property
    def takes_interrupt(self) -> bool:
        """Whether EC2 can send it a diagnostic interrupt: not to Graviton."""
        return "x86_64" in self.architectures


@dataclass(frozen=True)
class Ping:
    """The last ping of an instance's SSM agent; it can be minutes old."""

    status: str
    last_ping_at: datetime
    platform_type: str


@dataclass(frozen=True)
class StatusChecks:
    """ok | impaired | insufficient-data | initializing | not-applicable"""

    system: str
    instance: str
    attached_ebs: str
    # When the instance check began to fail; None: it passes.
    impaired_since: datetime | None = None
    # The codes of scheduled events that are neither completed nor canceled: system-reboot, instance-retirement, …
    events: tuple[str, ...] = ()


def read_instance(instance_id: str) -> Instance | None:
    """None when EC2 knows no such instance in this account and Region, or calls the id malformed."""
    try:
        answer = clients.ec2().describe_instances(InstanceIds=[instance_id])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"):
            return None
        raise
    for reservation in answer["Reservations"]:
        for instance in reservation.get("Instances", []):
            return _instance(instance)
    return None


def read_shutdown_behavior(instance_id: str) -> str:
    """What EC2 does when the operating system powers off: stop | terminate."""
    answer = clients.ec2().describe_instance_attribute(
        InstanceId=instance_id, Attribute="instanceInitiatedShutdownBehavior"
    )
    return answer["InstanceInitiatedShutdownBehavior"].get("Value", "")


def read_instance_type(instance_type: str) -> InstanceType:
    """Raises ClientError InvalidInstanceType for a type that this Region does not offer."""
    (described,) = clients.ec2().describe_instance_types(InstanceTypes=[instance_type])["InstanceTypes"]  # type: ignore[list-item]
    hypervisor = "bare-metal" if described.get("BareMetal") else described.get("Hypervisor", "unknown")
    architectures = tuple(described.get("ProcessorInfo", {}).get("SupportedArchitectures", []))
    return InstanceType(hypervisor, architectures, described.get("MemoryInfo", {}).get("SizeInMiB", 0))


def read_status_checks(instance_id: str) -> StatusChecks | None:
    """None when EC2 has no status for the instance. A type without the attached EBS check reports none for it."""
    answer = clients.ec2().describe_instance_status(InstanceIds=[instance_id], IncludeAllInstances=True)
    for status in answer["InstanceStatuses"]:
        return StatusChecks(
            system=status.get("SystemStatus", {}).get("Status", "insufficient-data"),
            instance=status.get("InstanceStatus", {}).get("Status", "insufficient-data"),
            attached_ebs=status.get("AttachedEbsStatus", {}).get("Status", "not-applicable"),
            impaired_since=impaired_since(status),
            events=tuple(
                event.get("Code", "unknown")
                for event in status.get("Events", [])
                # EC2 keeps a past event for a week, and marks it in its description.
                if not event.get("Description", "").startswith(("[Completed]", "[Canceled]"))
            ),
        )
    return None


def read_impairments(availability_zone: str) -> tuple[datetime, ...]:
    """When the instance check of each impaired instance in the zone began to fail, enrolled or not."""
    pages = (
        clients.ec2()
        .get_paginator("describe_instance_status")
        .paginate(
            Filters=[
                {"Name": "availability-zone", "Values": [availability_zone]},
                {"Name": "instance-status.status", "Values": ["impaired"]},
            ],
            PaginationConfig={"MaxItems": _MOST_IMPAIRED, "PageSize": _MOST_IMPAIRED},
        )
    )
    since = (impaired_since(status) for page in pages for status in page["InstanceStatuses"])
    return tuple(at for at in since if at is not None)


def read_pings(availability_zone: str) -> dict[str, datetime]:
    """The last ping of each enrolled, running instance in the zone that Systems Manager knows; of 100 at most."""
    filters = [
        {"Name": "availability-zone", "Values": [availability_zone]},
        {"Name": f"tag:{ENROLLED_TAG}", "Values": ["true"]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    pages = (
        clients.ec2()
        .get_paginator("describe_instances")
        .paginate(Filters=filters, PaginationConfig={"MaxItems": _MOST_PINGS, "PageSize": _MOST_PINGS})  # type: ignore[arg-type]
    )
    reservations = [reservation for page in pages for reservation in page["Reservations"]]
    instance_ids = [each["InstanceId"] for reservation in reservations for each in reservation.get("Instances", [])]
    if not instance_ids:
        return {}
    informed = (
        clients.ssm()
        .get_paginator("describe_instance_information")
        .paginate(Filters=[{"Key": "InstanceIds", "Values": instance_ids[:_MOST_PINGS]}])
    )
    found = [each for page in informed for each in page["InstanceInformationList"]]
    return {each["InstanceId"]: each["LastPingDateTime"] for each in found if "LastPingDateTime" in each}


def impaired_since(status: "InstanceStatusTypeDef") -> datetime | None:
    """When the instance check of one DescribeInstanceStatus entry began to fail; None: it passes."""
    details = status.get("InstanceStatus", {}).get("Details", [])
    return next((detail["ImpairedSince"] for detail in details if "ImpairedSince" in detail), None)


def read_ping(instance_id: str) -> Ping | None:
    """None when the instance is not registered with Systems Manager."""
    answer = clients.ssm().describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [instance_id]}])
    for information in answer["InstanceInformationList"]:
        return Ping(
            status=information.get("PingStatus", "Inactive"),
            last_ping_at=information.get("LastPingDateTime", datetime.fromtimestamp(0, UTC)),
            platform_type=information.get("PlatformType", "Linux"),
        )
    return None


def read_console(instance_id: str) -> str:
    """The last 64 KiB of the serial console, as of now (`Latest` exists on Nitro only; others raise ClientError)."""
    return clients.ec2().get_console_output(InstanceId=instance_id, Latest=True).get("Output", "")


def console_baseline(console: str) -> ConsoleBaseline:
    """The part of the console to keep from before the interrupt."""
    return ConsoleBaseline(end=console[-_BASELINE_CHARACTERS:], length=len(console))


def _instance(instance: "InstanceTypeDef") -> Instance:
    return Instance(
        instance_id=instance["InstanceId"],
        state=instance["State"]["Name"],
        instance_type=instance["InstanceType"],
        availability_zone=instance["Placement"]["AvailabilityZone"],
        is_windows=instance.get("Platform", "").lower() == "windows",
        tags={tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])},
        device_names=tuple(mapping["DeviceName"] for mapping in instance.get("BlockDeviceMappings", [])),
        state_reason=instance.get("StateReason", {}).get("Code", ""),
        launched_at=instance["LaunchTime"],
        network={name: instance[name] for name in _NETWORK if name in instance},  # type: ignore[literal-required]
        launched_from={name: instance[name] for name in _LAUNCHED_FROM if name in instance},  # type: ignore[literal-required]
        client_token=instance.get("ClientToken", ""),
    )
