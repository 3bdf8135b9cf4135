"""Every knob of a deployment, with its default, its range and what it does; validated at synthesis.

read_settings.py reads them from the context key `hangdump` of cdk.json. Not what a knob does to which resource.
"""

import math
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lambdas.respond.maintenance_windows import parse as parse_window
from lambdas.runtime.document_settings import DocumentSettings

# What respond_to_hang needs beside its waiting.
RESPONSE_OVERHEAD_SECONDS = 120

# What CloudWatch Logs accepts as retention, up to ten years.
RetentionInDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]

# "https://vpce-0a1b.s3.eu-west-1.vpce.amazonaws.com", and plain http only to a private IPv4 address such as the lab's
# "http://10.0.2.100": a presigned URL is a credential and must not cross a network that others can read.
_PRIVATE_ADDRESS = r"(10(\.\d{1,3}){3}|192\.168(\.\d{1,3}){2}|172\.(1[6-9]|2\d|3[01])(\.\d{1,3}){2})"
_ENDPOINT = rf"^$|^https://[A-Za-z0-9.-]+(:\d{{1,5}})?$|^http://{_PRIVATE_ADDRESS}(:\d{{1,5}})?$"


class Settings(DocumentSettings):
    """The settings of a deployment: keys are the fields' names in camelCase. A wrong value stops the synthesis.

    Those that the documents apply on the instances are inherited: lambdas/runtime/document_settings.py.
    """

    # ---- The dump volume: what ProvisionDumpVolume creates and attaches.

    dump_size_factor: float = Field(2.0, ge=0.1, le=10, description="dump volume size as a multiple of memory")
    minimum_dump_volume_gib: int = Field(8, ge=1, le=65536, description="smallest dump volume, GiB")
    volume_throughput_mibs: int = Field(125, ge=125, le=2000, description="gp3 throughput of the dump volume, MiB/s")
    volume_iops: int = Field(3000, ge=3000, le=80000, description="gp3 IOPS of the dump volume")

    @model_validator(mode="after")
    def _volume_exists_in_gp3(self) -> Self:
        # gp3: 0.25 MiB/s per provisioned IOPS, and 500 IOPS per GiB above the free 3,000.
        if self.volume_throughput_mibs > self.volume_iops * 0.25:
            needed = math.ceil(self.volume_throughput_mibs / 0.25)
            raise ValueError(
                f"volumeThroughputMibs = {self.volume_throughput_mibs} needs volumeIops of at least {needed}; "
                f"it is {self.volume_iops}"
            )
        if self.volume_iops > max(3000, self.minimum_dump_volume_gib * 500):
            raise ValueError(
                f"volumeIops = {self.volume_iops} needs minimumDumpVolumeGib of at least "
                f"{math.ceil(self.volume_iops / 500)}; it is {self.minimum_dump_volume_gib}"
            )
        return self

    # ---- kdump in the guest.

    allow_reboot: bool = Field(False, description="may ProvisionDumpVolume reboot an instance whose owner did not ask")

    # ---- The hang: when respond_to_hang interrupts.

    hang_alarm_period_seconds: Literal[60, 300] = Field(60, description="period of the alarm on the instance check")
    hang_alarm_evaluation_periods: int = Field(2, ge=1, le=60, description="failing periods before the alarm fires")
    probe_timeout_seconds: int = Field(45, ge=10, le=600, description="no answer for so long = the instance hangs")
    cooldown_seconds: int = Field(
        3600, ge=60, le=604800, description="no second interrupt to an instance within this time"
    )
    fleet_budget: int = Field(3, ge=1, le=1000, description="interrupts allowed in one window, over all instances")
    zone_budget: int = Field(2, ge=1, le=1000, description="of them in one Availability Zone")
    group_budget: int = Field(1, ge=1, le=1000, description="of them in one Auto Scaling group")
    fleet_budget_window_seconds: int = Field(3600, ge=60, le=604800, description="length of that window")
    boot_grace_seconds: int = Field(
        300,
        ge=0,
        le=86400,
        description="no interrupt so soon after a launch, a start or a reboot that the console shows",
    )
    ready_max_age_days: int = Field(
        30, ge=0, le=3650, description="no interrupt when readiness was proven longer ago; 0 = it does not age"
    )
    ready_across_boots: bool = Field(
        False, description="does readiness that was proven before the last boot count; it may be of another kernel"
    )
    maintenance_windows: list[str] = Field(
        [],
        max_length=20,
        description="hours in which no alarm interrupts, in UTC, such as daily 02:00-02:30 or sat,sun 22:00-04:00",
    )
    evidence_timeout_seconds: int = Field(
        4, ge=0, le=30, description="how long an interrupt waits for the evidence stored before it; 0 = none is stored"
    )
    auto_scaling_standby: Literal["required", "preferred", "off"] = Field(
        "required",
        description="must an instance of an Auto Scaling group be in Standby before an interrupt; off = never asked",
    )
    standby_timeout_seconds: int = Field(
        # A load balancer's deregistration delay is 300 s by default.
        360,
        ge=10,
        le=600,
        description="how long an interrupt waits for Standby",
    )
    dry_run: bool = Field(False, description="decide and record, but never send an interrupt")

    @model_validator(mode="after")
    def _response_fits_into_a_function(self) -> Self:
        # Lambda's longest is 900 s. The probe is sent once more after a long way into Standby.
        longest = 2 * self.probe_timeout_seconds + self.standby_timeout_seconds + RESPONSE_OVERHEAD_SECONDS
        if longest > 900:
            raise ValueError(
                f"probeTimeoutSeconds = {self.probe_timeout_seconds} and standbyTimeoutSeconds = "
                f"{self.standby_timeout_seconds} are too long together: twice the first and the second may be "
                f"{900 - RESPONSE_OVERHEAD_SECONDS} in all"
            )
        return self

    @field_validator("maintenance_windows")
    @classmethod
    def _windows_can_be_read(cls, windows: list[str]) -> list[str]:
        for window in windows:
            parse_window(window)
        return windows

    # ---- The bounds of every waiting loop.

    poll_seconds: int = Field(10, ge=1, le=300, description="first interval between two looks in every waiting loop")
    document_timeout_seconds: int = Field(
        1800, ge=60, le=28800, description="longest run of a document, reboot included"
    )
    dump_timeout_seconds: int = Field(
        3600, ge=60, le=86400, description="from the interrupt to the instance being back, unless the dump gets on"
    )
    dump_limit_seconds: int = Field(
        # 24 TiB of memory at dump level 31, of which a tenth is written at gp3's 125 MiB/s: 5.6 hours.
        28800,
        ge=60,
        le=172800,
        description="the same while the console shows that the dump gets on",
    )
    dump_stall_seconds: int = Field(
        # Also the time for the boot after the dump: the largest bare metal types need a quarter of an hour.
        1200,
        ge=60,
        le=14400,
        description="a dump without progress on the console for so long is stalled",
    )
    upload_timeout_seconds: int = Field(
        # The URLs of a round live an hour; the parts under way when they die may end.
        5400,
        ge=60,
        le=43200,
        description="longest round of an upload, which sends what fits into 40 minutes",
    )
    analysis_timeout_seconds: int = Field(
        # The URLs live an hour: the result must be sent before.
        3000,
        ge=60,
        le=3300,
        description="longest analysis, from fetching the vmcore to sending the result; its URLs live an hour",
    )
    upload_limit_mibs: int = Field(
        0, ge=0, le=100_000, description="what an upload may use of the instance's network, MiB/s; 0 = all"
    )

    @model_validator(mode="after")
    def _progress_extends_the_wait(self) -> Self:
        if self.dump_limit_seconds < self.dump_timeout_seconds:
            raise ValueError(
                f"dumpLimitSeconds = {self.dump_limit_seconds} must be at least dumpTimeoutSeconds, "
                f"which is {self.dump_timeout_seconds}"
            )
        return self

    # ---- The rescue: the instance that RescueVmcore launches.

    rescue: bool = Field(
        True, description="is the vmcore of an instance that does not come back read from a copy of its dump volume"
    )
    collector_image: str = Field(
        "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
        pattern=r"^(ami-[0-9a-f]{8,17}|resolve:ssm:/[A-Za-z0-9/._-]+)$",
        description="image of the instance that reads the copy: with an SSM agent, xfs and ext4",
    )
    collector_instance_type: str = Field(
        "m5.large",
        pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$",
        description="its type, of the image's architecture; a larger one has more network for large vmcores",
    )
    collector_timeout_seconds: int = Field(
        900, ge=10, le=7200, description="longest wait for it to run, and then for its agent to be online"
    )
    collector_subnet_id: str = Field(
        "", pattern=r"^$|^subnet-[0-9a-f]{8,17}$", description="its subnet; empty = that of the rescued instance"
    )
    collector_security_group_id: str = Field(
        "", pattern=r"^$|^sg-[0-9a-f]{8,17}$", description="its security group; empty = those of the rescued instance"
    )

    # ---- The sweep, retention, and notifications.

    sweep_interval_hours: int = Field(24, ge=1, le=168, description="hours between two sweeps")
    sweep_removes: bool = Field(
        True, description="does a sweep remove what is ours and empty of value, or only report it"
    )
    sweep_unmarks: bool = Field(
        True, description="does a sweep take the ready tag from an instance that could not dump"
    )
    sweep_collects: bool = Field(
        False, description="does a sweep start CollectVmcore for dumps that nobody asked for, or only report them"
    )

    upload_endpoint_url: str = Field(
        "", pattern=_ENDPOINT, description="S3 endpoint for the instances; empty = the Region's"
    )
    log_retention_days: RetentionInDays = Field(90, description="days that log groups and access logs are kept")
    vmcore_retention_days: int = Field(365, ge=0, le=36500, description="days that vmcores are kept; 0 = for ever")
    report_link_hours: int = Field(
        12,
        ge=0,
        le=168,
        description="hours that the link to the report in a notification is asked to live; it dies with the session "
        "of the function that signed it, within hours; 0 = no link",
    )
    notification_email: str = Field(
        "", pattern=r"^$|^[^@\s]+@[^@\s]+\.[^@\s]+$", description="address subscribed to the topic; empty = none"
    )
