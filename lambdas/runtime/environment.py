"""The functions' environment variables, one model per need: the stack writes them, a function reads them when called.

Owns their names and types; the values come from infra/settings.py.
"""

import json
import os
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lambdas.runtime.document_settings import DocumentSettings

Seconds = Annotated[int, Field(ge=0)]
# A value that is a JSON text in the environment.
FromJson = BeforeValidator(lambda value: json.loads(value) if isinstance(value, str) else value)


class Environment(BaseModel):
    """Base of all: field `table_name` is the variable TABLE_NAME."""

    # Without hide_input_in_errors a missing variable would print the whole environment, credentials included.
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=str.upper, populate_by_name=True, hide_input_in_errors=True
    )

    @classmethod
    def read(cls) -> Self:
        """Raises pydantic.ValidationError, naming the variables that are missing or wrong."""
        return cls.model_validate(dict(os.environ))

    @classmethod
    def of(cls, settings: object) -> Self:
        """For the stack: each field from the setting of the same name."""
        return cls.model_validate({name: getattr(settings, name) for name in cls.model_fields})

    def variables(self) -> dict[str, str]:
        """For the stack: the variables from which read() gives this again, but those that were left at a default."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


class RecordKeeping(Environment):
    """Where incident records are kept."""

    table_name: str


class Notifications(Environment):
    """Whom to tell."""

    topic_arn: str


class VmcoreBucket(Environment):
    """Where vmcores are kept."""

    bucket_name: str
    key_arn: str
    # S3 as the instances see it; empty: the Region's own endpoint.
    upload_endpoint_url: str = ""

    @property
    def bucket_arn(self) -> str:
        """In the partition of its key."""
        return f"arn:{self.key_arn.split(':')[1]}:s3:::{self.bucket_name}"


class ReportPages(VmcoreBucket):
    """Where reports are kept, and for how long the vmcores that they tell of; 0 is for ever."""

    vmcore_retention_days: Annotated[int, Field(ge=0)]


class ReportLink(Environment):
    """How long the link in a notification is asked to live; 0: there is none."""

    report_link_hours: Annotated[int, Field(ge=0, le=168)]


class UploaderRole(Environment):
    """Whose session signs the URLs that instances get."""

    uploader_role_arn: str


class ReaderRole(Environment):
    """Whose session signs the URLs that an analysis host gets."""

    reader_role_arn: str


class UploadRates(Environment):
    """How fast an upload can be expected to go, MiB/s; a limit of 0 is none."""

    volume_throughput_mibs: Annotated[int, Field(ge=1)]
    upload_limit_mibs: Annotated[int, Field(ge=0)]

    @property
    def expected_bytes_per_second(self) -> int:
        """The slower of the disk and the limit."""
        return min(self.volume_throughput_mibs, self.upload_limit_mibs or self.volume_throughput_mibs) * 1024**2


class VmcoreBucketName(Environment):
    """For those who only read and complete."""

    bucket_name: str


class FleetChecks(Environment):
    """What a sweep asks ready instances with."""

    check_document: str
    upload_document: str
    mount_point: str


class SweepPolicy(Environment):
    """What a sweep may do besides reporting. No defaults: what is not said is not allowed."""

    sweep_removes: bool
    sweep_unmarks: bool
    sweep_collects: bool


class Collection(Environment):
    """What respond_to_hang starts."""

    collect_vmcore_arn: str


class Rescue(Environment):
    """What CollectVmcore starts for an instance that does not come back."""

    rescue_vmcore_arn: str


class CollectorPlace(Environment):
    """Where a collector is launched; "": beside the instance whose dump it reads."""

    collector_subnet_id: str
    collector_security_group_id: str


class Probe(Environment):
    """How an instance is asked whether it still executes anything."""

    probe_document: str
    probe_timeout_seconds: Annotated[int, Field(ge=1)]


class InterruptLimits(Environment):
    """When an instance may be interrupted, and how often it, its group, its zone and the fleet may be.

    No defaults: a stack that forgets one of them must not interrupt.
    """

    cooldown_seconds: Seconds
    fleet_budget: Annotated[int, Field(ge=0)]
    zone_budget: Annotated[int, Field(ge=0)]
    group_budget: Annotated[int, Field(ge=0)]
    fleet_budget_window_seconds: Annotated[int, Field(ge=1)]
    boot_grace_seconds: Seconds
    # 0: readiness does not age.
    ready_max_age_days: Annotated[int, Field(ge=0)]
    ready_across_boots: bool
    # As maintenance_windows.parse reads them.
    maintenance_windows: Annotated[list[str], FromJson]
    dry_run: bool


class Standby(Environment):
    """Whether an instance of an Auto Scaling group must be in Standby before it is interrupted, and how long that may
    take: required, preferred, or off, with which Auto Scaling is never asked.
    """

    auto_scaling_standby: Literal["required", "preferred", "off"]
    standby_timeout_seconds: Seconds


class ReturnFunction(Environment):
    """The function that brings an instance back from Standby."""

    return_from_standby: str


class KillSwitch(Environment):
    """The parameter that must say `on` for any interrupt to be sent."""

    kill_switch_parameter: str


class EvidenceBound(Environment):
    """How long an interrupt waits for what is stored before it; 0: nothing is."""

    evidence_timeout_seconds: Annotated[int, Field(ge=0)]


class DumpDeadline(Environment):
    """How long a crash may take from the interrupt to an answering instance; up to the limit while it gets on."""

    dump_timeout_seconds: Seconds
    dump_limit_seconds: Seconds


class DumpStall(Environment):
    """How long a dump may show no progress."""

    dump_stall_seconds: Seconds


class Provisioning(Environment):
    """How dump volumes are sized and instances are configured."""

    dump_size_factor: Annotated[float, Field(gt=0)]
    minimum_dump_volume_gib: Annotated[int, Field(ge=1)]
    allow_reboot: bool
    # Those that the stack's settings set; the others have their defaults.
    document_settings: Annotated[DocumentSettings, FromJson]
