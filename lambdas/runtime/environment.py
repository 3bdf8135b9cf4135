"""The functions' environment variables as models. The stack writes them; a function reads the models it needs.

Owns the names and types; the values come from infra/settings.py.
"""

import json
import os
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lambdas.runtime.document_settings import DocumentSettings, InstanceSettings
from lambdas.runtime.stack_parameter import DumpVolumePlace, DumpVolumeSizing

Seconds = Annotated[int, Field(ge=0)]
# The environment holds this value as JSON text.
FromJson = BeforeValidator(lambda value: json.loads(value) if isinstance(value, str) else value)


class Environment(BaseModel):
    """Base class: the field `table_name` is the variable TABLE_NAME."""

    # Without hide_input_in_errors, an error about a missing variable would print the environment with its credentials.
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=str.upper, populate_by_name=True, hide_input_in_errors=True
    )

    @classmethod
    def read(cls) -> Self:
        """Raises pydantic.ValidationError, which names the missing or wrong variables."""
        return cls.model_validate(dict(os.environ))

    @classmethod
    def of(cls, settings: object) -> Self:
        """For the stack: takes each field from the setting of the same name."""
        return cls.model_validate({name: getattr(settings, name) for name in cls.model_fields})

    def variables(self) -> dict[str, str]:
        """For the stack: the variables that read() turns into this model again, without those left at their default."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


class RecordKeeping(Environment):
    """The incident table."""

    table_name: str


class FleetTable(Environment):
    """The table of enrolled instances."""

    fleet_table_name: str


class Configuration(Environment):
    """The ids of the settings that reach an instance: the stack's own, and of each profile."""

    configuration_id: str
    profile_configuration_ids: Annotated[dict[str, str], FromJson]

    def id_of(self, profile: str) -> str:
        """For an instance with this profile; the stack's own for one without, or with one that does not exist."""
        return self.profile_configuration_ids.get(profile, self.configuration_id)


class CheckAssociation(Environment):
    """The State Manager association that checks the fleet."""

    check_association_id: str


class Enrolment(Environment):
    """How many instances EnrolFleet takes in, at which pace, when it may reboot them, and what it starts for each."""

    fleet_limit: Annotated[int, Field(ge=0)]
    enrolments_per_minute: Annotated[int, Field(ge=1)]
    # weekly_windows.parse reads them.
    reboot_windows: Annotated[list[str], FromJson]
    reboots_per_group: Annotated[int, Field(ge=1)]
    reboots_per_zone: Annotated[int, Field(ge=1)]
    provision_dump_volume_arn: str


class Notifications(Environment):
    """The topic for notifications."""

    topic_arn: str


class VmcoreBucket(Environment):
    """The vmcore bucket, its key, and its endpoint for instances."""

    bucket_name: str
    key_arn: str
    # The S3 endpoint that the instances use; empty: the Region's.
    upload_endpoint_url: str = ""

    @property
    def bucket_arn(self) -> str:
        """The bucket's ARN, in the partition of its key."""
        return f"arn:{self.key_arn.split(':')[1]}:s3:::{self.bucket_name}"


class ReportPages(VmcoreBucket):
    """The bucket of the reports, and how long it keeps vmcores; 0: for ever."""

    vmcore_retention_days: Annotated[int, Field(ge=0)]


class ReportLink(Environment):
    """How long the report link in a notification is valid; 0: no link."""

    report_link_hours: Annotated[int, Field(ge=0, le=168)]


class UploaderRole(Environment):
    """The role whose session signs the URLs for instances."""

    uploader_role_arn: str


class ReaderRole(Environment):
    """The role whose session signs the URLs for an analysis host."""

    reader_role_arn: str


class UploadRates(Environment):
    """The expected speed of an upload, MiB/s; a limit of 0 is no limit."""

    volume_throughput_mibs: Annotated[int, Field(ge=1)]
    upload_limit_mibs: Annotated[int, Field(ge=0)]

    @property
    def expected_bytes_per_second(self) -> int:
        """The disk's throughput or the limit, whichever is lower."""
        return min(self.volume_throughput_mibs, self.upload_limit_mibs or self.volume_throughput_mibs) * 1024**2


class VmcoreBucketName(Environment):
    """The bucket, for functions that only read objects and complete uploads: they need no key."""

    bucket_name: str


class FleetChecks(Environment):
    """The documents that a sweep runs on ready instances."""

    check_document: str
    upload_document: str
    mount_point: str


class Retirement(Environment):
    """Where dump volumes are mounted, unless an instance's own configuration says otherwise."""

    mount_point: str


class OrphanRemoval(Environment):
    """Whether dump volumes of terminated members of groups are read and, if worth nothing, deleted."""

    sweep_removes: bool
    rescue: bool
    orphan_rescues: Annotated[int, Field(ge=0)]

    @property
    def rescues_at_a_time(self) -> int:
        """How many rescues of such volumes may run; 0: none is read, and none deleted."""
        return self.orphan_rescues if self.sweep_removes and self.rescue else 0


class SweepPolicy(OrphanRemoval):
    """The actions that a sweep may take besides reporting. No defaults: each must be allowed explicitly."""

    sweep_unmarks: bool
    sweep_collects: bool
    sweep_interval_hours: Annotated[int, Field(ge=1)]
    drill_every_days: Annotated[int, Field(ge=0)]
    drill_budget: Annotated[int, Field(ge=0)]
    dry_run: bool

    @property
    def drills_at_a_time(self) -> int:
        """How many drills a sweep may begin; DrillDump would refuse further ones."""
        return 0 if self.dry_run or not self.drill_every_days else self.drill_budget


class Collection(Environment):
    """CollectVmcore, which respond_to_hang starts."""

    collect_vmcore_arn: str


class Rescue(Environment):
    """RescueVmcore, which CollectVmcore starts for an instance that does not come back."""

    rescue_vmcore_arn: str


class Analysis(Environment):
    """AnalyzeVmcore, which may launch a twin of an instance."""

    analyze_vmcore_arn: str


class Drills(Environment):
    """DrillDump, which launches and crashes twins."""

    drill_dump_arn: str


class DrillLimits(Environment):
    """How many drills there may be, and how long no other one of the same instance is begun."""

    drill_budget: Annotated[int, Field(ge=0)]
    drill_cooldown_seconds: Seconds
    fleet_budget_window_seconds: Annotated[int, Field(ge=1)]
    boot_grace_seconds: Seconds
    dry_run: bool


class TwinTypes(Environment):
    """The instance type of a twin, for each architecture."""

    analysis_instance_type: str
    analysis_instance_type_arm64: str


class RescueInstancePlace(Environment):
    """The network of a short-lived instance; "": the hung instance's subnet and security groups."""

    rescue_instance_subnet_id: str
    rescue_instance_security_group_id: str


class Probe(Environment):
    """The document that probes whether an instance still executes commands."""

    probe_document: str
    probe_timeout_seconds: Annotated[int, Field(ge=1)]


class InterruptLimits(Environment):
    """The limits on interrupts: cooldown, budgets, readiness, windows.

    No defaults: a function without one of them must not interrupt.
    """

    cooldown_seconds: Seconds
    fleet_budget: Annotated[int, Field(ge=0)]
    zone_budget: Annotated[int, Field(ge=0)]
    group_budget: Annotated[int, Field(ge=0)]
    fleet_budget_window_seconds: Annotated[int, Field(ge=1)]
    boot_grace_seconds: Seconds
    impaired_seconds: Seconds
    agent_ping_minutes: Annotated[int, Field(ge=5, le=60)]
    # 0: readiness does not expire.
    ready_max_age_days: Annotated[int, Field(ge=0)]
    ready_across_boots: bool
    # weekly_windows.parse reads them.
    maintenance_windows: Annotated[list[str], FromJson]
    # Whether metrics of the hypervisor that CloudWatch does not have yet refuse.
    hypervisor_evidence: Literal["when-known", "required"]
    interrupt_on_silence: bool
    dry_run: bool


class Standby(Environment):
    """Whether an instance of an Auto Scaling group must enter Standby before the interrupt, and how long that may take.

    required · preferred · off: the instance is never moved.
    """

    auto_scaling_standby: Literal["required", "preferred", "off"]
    standby_timeout_seconds: Seconds


class ReturnFunction(Environment):
    """The function that brings an instance back from Standby."""

    return_from_standby: str


class ResponseFunction(Environment):
    """The function that answers alarms and the questions of watch_fleet."""

    respond_to_hang: str


class KillSwitch(Environment):
    """The parameter that must say `on` for any interrupt to be sent."""

    kill_switch_parameter: str


class EvidenceBound(Environment):
    """How long an interrupt waits for the evidence stored before it; 0: none is stored."""

    evidence_timeout_seconds: Annotated[int, Field(ge=0)]


class DumpDeadline(Environment):
    """The longest time from the interrupt until the instance is back; the limit holds while the dump makes progress."""

    dump_timeout_seconds: Seconds
    dump_limit_seconds: Seconds


class DumpStall(Environment):
    """The longest time that a dump may show no progress."""

    dump_stall_seconds: Seconds


class Provisioning(Environment):
    """How dump volumes are sized and instances are configured."""

    dump_volume: DumpVolumePlace
    dump_volume_sizing: DumpVolumeSizing
    dump_size_factor: Annotated[float, Field(gt=0)]
    minimum_dump_volume_gib: Annotated[int, Field(ge=1)]
    allow_reboot: bool
    # Only those that the stack's settings set; the others keep their defaults.
    document_settings: Annotated[DocumentSettings, FromJson]
    profiles: Annotated[dict[str, InstanceSettings], FromJson]
