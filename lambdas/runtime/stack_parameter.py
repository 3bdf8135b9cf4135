"""What the stack says of itself in a Systems Manager parameter, by which the command line finds it. Pure.

The functions do not read it. It stands here because the stack writes it and the command line, which is installed
without the stack's requirements, reads it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Literal, Self

from lambdas.runtime.camel_case import camel_case

# Of everything in the repository; pyproject.toml takes it from here.
VERSION = "0.1.0"

# By the instance's memory, or by what a dump of it would keep.
DumpVolumeSizing = Literal["memory", "measured"]
# Between dumps: attached to its instance, or parked as a snapshot that a volume is made from at the hang.
DumpVolumePlace = Literal["attached", "parked"]

# One of each in an account and Region: a second stack there is impossible, as functions and machines have fixed names.
STACK_PARAMETER = "/hangdump/stack"
KILL_SWITCH_PARAMETER = "/hangdump/interrupts"
# The CDK's own, with its default qualifier. The assembly's manifest names the version that it needs.
BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
BOOTSTRAP_VERSION = 6
# Of the parameter's JSON: {"schemaVersion", "version", "stackName", "outputs", "settings"}.
SCHEMA_VERSION = 1


class Output(StrEnum):
    """The outputs of the stack."""

    VMCORE_BUCKET = "VmcoreBucketName"
    INCIDENT_TOPIC = "IncidentTopicArn"
    OWN_ALARM_TOPIC = "OwnAlarmTopicArn"
    CHAT_TOPIC = "ChatTopicArn"
    INCIDENT_TABLE = "IncidentTableName"
    FLEET_TABLE = "FleetTableName"
    ENROL_FLEET = "EnrolFleetArn"
    PROVISION_DUMP_VOLUME = "ProvisionDumpVolumeArn"
    COLLECT_VMCORE = "CollectVmcoreArn"
    RESCUE_VMCORE = "RescueVmcoreArn"
    ANALYZE_VMCORE = "AnalyzeVmcoreArn"
    RESPOND_TO_HANG = "RespondToHangArn"
    RETIRE_INSTANCE = "RetireInstanceArn"
    DRILL_DUMP = "DrillDumpArn"
    SWEEP = "SweepArn"
    VIEWER_POLICY = "ViewerPolicyArn"
    OPERATOR_POLICY = "OperatorPolicyArn"


# What the parameter repeats: what the command line calls.
FOR_THE_COMMAND_LINE = (
    Output.VMCORE_BUCKET,
    Output.INCIDENT_TABLE,
    Output.FLEET_TABLE,
    Output.PROVISION_DUMP_VOLUME,
    Output.COLLECT_VMCORE,
    Output.RETIRE_INSTANCE,
    Output.DRILL_DUMP,
    Output.VIEWER_POLICY,
    Output.OPERATOR_POLICY,
)


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """The settings that the command line needs to tell what will happen, named as in infra/settings.py."""

    dry_run: bool
    allow_reboot: bool
    dump_volume: DumpVolumePlace
    dump_volume_sizing: DumpVolumeSizing
    dump_level: int
    dump_size_factor: float
    minimum_dump_volume_gib: int
    boot_grace_seconds: int
    ready_max_age_days: int
    ready_across_boots: bool
    # By name, what a profile sets of sizeGib, dumpVolume, dumpVolumeSizing, dumpSizeFactor and dumpLevel.
    profiles: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, settings: Any) -> Self:
        """For the stack: takes each field from the setting of the same name."""
        own = {each.name: getattr(settings, each.name) for each in fields(cls)}
        sizing = {"size_gib", "dump_volume", "dump_volume_sizing", "dump_size_factor", "dump_level"}
        profiles = {
            name: profile.model_dump(include=sizing, by_alias=True, exclude_unset=True)
            for name, profile in settings.profiles.items()
        }
        return cls(**{**own, "profiles": profiles})

    def has_profile(self, name: str) -> bool:
        """Whether an instance may have it; "" is none at all."""
        return name in ("", *self.profiles)

    def with_profile(self, name: str) -> Self:
        """As they are for an instance with this profile; the stack's own for one that does not exist."""
        given = self.profiles.get(name, {})
        own = {camel_case(each.name): each.name for each in fields(self)}
        return replace(self, **{own[key]: value for key, value in given.items() if key in own and value is not None})

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """From the parameter's JSON. Raises KeyError when an older stack lacks one."""
        return cls(**{each.name: content[camel_case(each.name)] for each in fields(cls)})

    def as_json(self) -> dict[str, Any]:
        """For the parameter's JSON."""
        return {camel_case(name): value for name, value in asdict(self).items()}
