"""Every setting of a deployment with its default, range and meaning; the synthesis validates them.

read_settings.py reads them from the context key `hangdump` of cdk.json.
"""

import json
import math
import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lambdas.runtime import weekly_windows
from lambdas.runtime.document_settings import DocumentSettings, InstanceSettings
from lambdas.runtime.stack_parameter import DumpVolumePlace, DumpVolumeSizing

# The time that respond_to_hang needs besides its waits for probes and Standby. Half of it may pass until a failing
# check is trusted.
RESPONSE_OVERHEAD_SECONDS = 240

# As many commands as 95 enrolments send that park nothing.
MOST_PARKED_A_MINUTE = 71
# A volume from a snapshot is made and attached within a minute.
ATTACH_SECONDS = 300

# The retentions that CloudWatch Logs accepts, up to ten years.
RetentionInDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]

# m5.large, u-6tb1.112xlarge
_INSTANCE_TYPE = r"^[a-z0-9-]+\.[a-z0-9-]+$"

# All of them are in one variable of a function, and those have 4 KB together.
MOST_BYTES_OF_PROFILES = 1500
_BYTES_OF_AN_ID = 24
_PROFILE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")

# "https://vpce-0a1b.s3.eu-west-1.vpce.amazonaws.com", and plain http only to a private IPv4 address such as the lab's
# "http://10.0.2.100": a presigned URL is a credential and must not cross a network that others can read.
_PRIVATE_ADDRESS = r"(10(\.\d{1,3}){3}|192\.168(\.\d{1,3}){2}|172\.(1[6-9]|2\d|3[01])(\.\d{1,3}){2})"
_ENDPOINT = rf"^$|^https://[A-Za-z0-9.-]+(:\d{{1,5}})?$|^http://{_PRIVATE_ADDRESS}(:\d{{1,5}})?$"


class Settings(DocumentSettings):
    """The settings of a deployment: keys are the fields' names in camelCase. A wrong value stops the synthesis.

    Inherits the settings that the documents apply on the instances: lambdas/runtime/document_settings.py.
    """

    # ---- The dump volume: what ProvisionDumpVolume creates and attaches.

    dump_volume: DumpVolumePlace = Field(
        "attached",
        description="parked = between dumps there is only a snapshot of the volume, and the crash kernel waits for a "
        "volume made from it; instances whose kdump cannot wait stay attached",
    )
    dump_volume_sizing: DumpVolumeSizing = Field(
        "memory",
        description="measured = a new dump volume is sized by what a dump of the instance would keep when it is "
        "provisioned, and has at least 30 % of memory",
    )
    dump_size_factor: float = Field(
        2.0, ge=0.1, le=10, description="dump volume size as a multiple of memory, or of what was measured"
    )
    minimum_dump_volume_gib: int = Field(8, ge=1, le=65536, description="smallest dump volume, GiB")
    volume_throughput_mibs: int = Field(125, ge=125, le=2000, description="gp3 throughput of the dump volume, MiB/s")
    volume_iops: int = Field(3000, ge=3000, le=80000, description="gp3 IOPS of the dump volume")
    parked_volume_throughput_mibs: int = Field(
        500,
        ge=125,
        le=750,
        description="gp3 throughput of a volume that is made from a parked one, for the time of its dump, MiB/s",
    )

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

    @property
    def parked_wait_seconds(self) -> int:
        """How long a crash kernel waits for its parked volume: for alarm, gate and attachment, and as long again.

        The interrupt comes after alarm and gate; a panic that happened by itself waits for both.
        """
        alarm = self.hang_alarm_period_seconds * (self.hang_alarm_evaluation_periods + 1) + self.impaired_seconds
        return 2 * (alarm + ATTACH_SECONDS)

    # ---- kdump in the guest.

    allow_reboot: bool = Field(
        False, description="ProvisionDumpVolume may reboot an instance whose execution input does not say `reboot`"
    )

    # ---- The fleet: whom EnrolFleet provisions by itself.

    fleet_limit: int = Field(
        1000,
        ge=0,
        le=100_000,
        description="EnrolFleet takes in at most so many instances with the owner's tag; 0 = none, provision by hand",
    )
    enrolments_per_minute: int = Field(
        # Each sends three commands, and a fourth to park. Of the reported rates of SendCommand the gate needs a share:
        # docs/bench.md.
        20,
        ge=1,
        le=95,
        description="instances that EnrolFleet begins to provision or to retire a minute",
    )

    profiles: dict[str, InstanceSettings] = Field(
        {},
        description="settings by name that differ from these, for instances with the tag hangdump:profile: see "
        "profiles below",
    )
    reboot_windows: list[str] = Field(
        [],
        max_length=20,
        description="hours (UTC) in which EnrolFleet reboots whoever needs it, such as sat,sun 22:00-04:00",
    )
    reboots_per_group: int = Field(
        1, ge=1, le=100, description="instances of one Auto Scaling group that EnrolFleet reboots at the same time"
    )
    reboots_per_zone: int = Field(
        5, ge=1, le=1000, description="instances of one Availability Zone that EnrolFleet reboots at the same time"
    )
    check_interval_hours: int = Field(
        6, ge=1, le=168, description="hours between two checks of every tagged instance by State Manager"
    )

    @model_validator(mode="after")
    def _parking_leaves_the_gate_its_share(self) -> Self:
        parks = self.dump_volume == "parked" or any(each.dump_volume == "parked" for each in self.profiles.values())
        if parks and self.enrolments_per_minute > MOST_PARKED_A_MINUTE:
            raise ValueError(
                f"enrolmentsPerMinute = {self.enrolments_per_minute} is too much for dumpVolume = parked, which takes "
                f"another command: at most {MOST_PARKED_A_MINUTE}"
            )
        return self

    @field_validator("profiles")
    @classmethod
    def _profiles_can_be_passed_on(cls, profiles: dict[str, InstanceSettings]) -> dict[str, InstanceSettings]:
        for name in profiles:
            if not _PROFILE_NAME.fullmatch(name):
                raise ValueError(f"the name {name!r} does not match {_PROFILE_NAME.pattern}")
        given = {
            name: each.model_dump(mode="json", by_alias=True, exclude_unset=True) for name, each in profiles.items()
        }
        # Each has the id of its configuration in another variable.
        size = len(json.dumps(given)) + sum(len(name) + _BYTES_OF_AN_ID for name in given)
        if size > MOST_BYTES_OF_PROFILES:
            raise ValueError(f"{size} bytes are too many: allowed are {MOST_BYTES_OF_PROFILES}")
        return profiles

    # ---- The hang: when respond_to_hang interrupts.

    hang_alarm_period_seconds: Literal[60, 300] = Field(60, description="period of the alarm on the instance check")
    hang_alarm_evaluation_periods: int = Field(2, ge=1, le=60, description="failing periods before the alarm fires")
    probe_timeout_seconds: int = Field(
        45, ge=10, le=600, description="the instance hangs if it does not run the probe within this time"
    )
    cooldown_seconds: int = Field(
        28800,
        ge=60,
        le=604800,
        description="no second interrupt to an instance within this time; at least dumpLimitSeconds",
    )
    fleet_budget: int = Field(3, ge=1, le=1000, description="interrupts allowed in one window, over all instances")
    zone_budget: int = Field(2, ge=1, le=1000, description="interrupts allowed in one window and Availability Zone")
    group_budget: int = Field(1, ge=1, le=1000, description="interrupts allowed in one window and Auto Scaling group")
    fleet_budget_window_seconds: int = Field(3600, ge=60, le=604800, description="length of the budgets' window")
    boot_grace_seconds: int = Field(
        300,
        ge=0,
        le=86400,
        description="no interrupt this soon after a launch, a start, or a reboot that the console shows",
    )
    impaired_seconds: int = Field(
        # EC2 checks once a minute: two failed checks, and time for the other instances of a failing zone to show.
        120,
        ge=90,
        le=RESPONSE_OVERHEAD_SECONDS // 2,
        description="no interrupt before the instance check has failed for this long",
    )
    agent_ping_minutes: int = Field(
        5,
        ge=5,
        le=60,
        description="how often the SSM agents ping; if they are configured differently, the longest interval",
    )
    ready_max_age_days: int = Field(
        30, ge=0, le=3650, description="no interrupt if readiness was checked longer ago; 0 = readiness does not expire"
    )
    ready_across_boots: bool = Field(
        False, description="readiness from before the last boot still counts; the kernel may have changed since"
    )
    maintenance_windows: list[str] = Field(
        [],
        max_length=20,
        description="hours (UTC) in which no alarm interrupts, such as daily 02:00-02:30 or sat,sun 22:00-04:00",
    )
    hypervisor_evidence: Literal["when-known", "required"] = Field(
        "when-known",
        description="EBS writes after the onset speak against a hang; required = no interrupt while they are unknown",
    )
    interrupt_on_silence: bool = Field(
        False,
        description="interrupt an instance whose agent is silent while its check passes and its console shows no hang; "
        "false = only notify",
    )
    evidence_timeout_seconds: int = Field(
        4, ge=0, le=30, description="longest wait for the evidence stored before an interrupt; 0 = none is stored"
    )
    auto_scaling_standby: Literal["required", "preferred", "off"] = Field(
        "required",
        description="move an instance of an Auto Scaling group into Standby before an interrupt; required = refuse the "
        "interrupt if that fails, preferred = interrupt all the same, off = never move it",
    )
    standby_timeout_seconds: int = Field(
        # A load balancer's deregistration delay is 300 s by default.
        360,
        ge=10,
        le=600,
        description="longest wait for Standby",
    )
    dry_run: bool = Field(False, description="decide and record, but never send an interrupt")

    @model_validator(mode="after")
    def _response_fits_into_a_function(self) -> Self:
        # A function may run for 900 s. It probes twice if Standby takes long.
        longest = 2 * self.probe_timeout_seconds + self.standby_timeout_seconds + RESPONSE_OVERHEAD_SECONDS
        if longest > 900:
            raise ValueError(
                f"probeTimeoutSeconds = {self.probe_timeout_seconds} and standbyTimeoutSeconds = "
                f"{self.standby_timeout_seconds} are too long together: twice the first plus the second may be at most "
                f"{900 - RESPONSE_OVERHEAD_SECONDS}"
            )
        return self

    @field_validator("maintenance_windows", "reboot_windows")
    @classmethod
    def _windows_can_be_read(cls, windows: list[str]) -> list[str]:
        for window in windows:
            weekly_windows.parse(window)
        return windows

    # ---- The bounds of every waiting loop.

    poll_seconds: int = Field(10, ge=1, le=300, description="first interval between two polls in every waiting loop")
    document_timeout_seconds: int = Field(
        1800, ge=60, le=28800, description="longest run of a document, reboot included"
    )
    dump_timeout_seconds: int = Field(
        3600,
        ge=60,
        le=86400,
        description="longest time from the interrupt until the instance is back, unless the dump is making progress",
    )
    dump_limit_seconds: int = Field(
        # 24 TiB of memory at dump level 31, of which a tenth is written at gp3's 125 MiB/s: 5.6 hours.
        28800,
        ge=60,
        le=172800,
        description="the same limit while the console shows that the dump is making progress",
    )
    dump_stall_seconds: int = Field(
        # It also covers the boot after the dump: the largest bare metal types need a quarter of an hour.
        1200,
        ge=60,
        le=14400,
        description="a dump is stalled if the console shows no progress for this long",
    )
    upload_timeout_seconds: int = Field(
        # The URLs of a round expire after an hour; parts that are on their way by then may finish.
        5400,
        ge=60,
        le=43200,
        description="longest round of an upload; a round is planned for 40 minutes",
    )
    analysis_timeout_seconds: int = Field(
        # The URLs expire after an hour: the result must be sent before.
        3000,
        ge=60,
        le=3300,
        description="longest analysis, from fetching the vmcore to sending the result; its URLs expire after an hour",
    )
    upload_limit_mibs: int = Field(0, ge=0, le=100_000, description="bandwidth limit of an upload, MiB/s; 0 = no limit")

    @model_validator(mode="after")
    def _progress_extends_the_wait(self) -> Self:
        if self.dump_limit_seconds < self.dump_timeout_seconds:
            raise ValueError(
                f"dumpLimitSeconds = {self.dump_limit_seconds} must be at least dumpTimeoutSeconds, "
                f"which is {self.dump_timeout_seconds}"
            )
        if self.cooldown_seconds < self.dump_limit_seconds:
            raise ValueError(
                f"cooldownSeconds = {self.cooldown_seconds} must be at least dumpLimitSeconds, which is "
                f"{self.dump_limit_seconds}: a second interrupt would hit a dump that is still being written"
            )
        return self

    # ---- The rescue, and the instance that RescueVmcore launches. Its waits and its network are those of a twin, too.

    rescue: bool = Field(
        True, description="if an instance does not come back, read its vmcore from a copy of its dump volume"
    )
    rescue_instance_image: str = Field(
        "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
        pattern=r"^(ami-[0-9a-f]{8,17}|resolve:ssm:/[A-Za-z0-9/._-]+)$",
        description="image of the rescue instance, which reads the copy; it needs an SSM agent, xfs and ext4",
    )
    rescue_instance_type: str = Field(
        "m5.large",
        pattern=_INSTANCE_TYPE,
        description="type of the rescue instance, of the image's architecture; a larger one uploads faster",
    )
    rescue_instance_timeout_seconds: int = Field(
        900,
        ge=10,
        le=7200,
        description="longest wait for the rescue instance, or a twin, to run, and then for its agent",
    )
    rescue_instance_subnet_id: str = Field(
        "",
        pattern=r"^$|^subnet-[0-9a-f]{8,17}$",
        description="subnet of the rescue instance and of a twin; empty = the hung instance's",
    )
    rescue_instance_security_group_id: str = Field(
        "",
        pattern=r"^$|^sg-[0-9a-f]{8,17}$",
        description="security group of the rescue instance and of a twin; empty = the hung instance's groups",
    )

    # ---- The analysis with symbols.

    analyze: Literal["by-hand", "automatic", "off"] = Field(
        "by-hand",
        description="when AnalyzeVmcore reads a vmcore with symbols; by-hand = when somebody starts it, automatic = "
        "also after each collection or rescue that brought a vmcore, on a twin of the instance, on which the services "
        "of its image start; off = never",
    )
    analysis_instance_type: str = Field(
        # 8 GiB of memory: drgn reads a dump piece by piece, but holds the symbols of the kernel.
        "m5.large",
        pattern=_INSTANCE_TYPE,
        description="type of the twin that analyses a vmcore of an x86_64 instance",
    )
    analysis_instance_type_arm64: str = Field(
        "m6g.large", pattern=_INSTANCE_TYPE, description="type of the twin that analyses a vmcore of an arm64 instance"
    )

    # ---- The drill, which crashes a twin of an instance.

    drill_budget: int = Field(
        3, ge=0, le=100, description="drills that may be begun in one window (fleetBudgetWindowSeconds); 0 = none"
    )
    drill_every_days: int = Field(
        0,
        ge=0,
        le=3650,
        description="a sweep drills each combination of image, type family, kernel and settings of ready instances "
        "again after so long, the newest first, drillBudget at a time; 0 = drills are begun by hand alone",
    )
    drill_cooldown_seconds: int = Field(
        3600,
        ge=0,
        le=604800,
        description="no second drill of the same instance or image so soon after its twin was hung",
    )

    # ---- The sweep, retention, and notifications.

    # The alarm on missing sweeps looks back two intervals, and an alarm with periods of an hour seven days at most.
    sweep_interval_hours: int = Field(24, ge=1, le=84, description="hours between two sweeps")
    sweep_removes: bool = Field(
        True, description="a sweep removes what Hangdump created and nobody needs; false = it only reports it"
    )
    orphan_rescues: int = Field(
        20,
        ge=0,
        le=500,
        description="dump volumes of terminated members of Auto Scaling groups that sweeps have RescueVmcore read at a "
        "time; it deletes the empty ones, and those whose vmcore it has brought to S3; 0, or sweepRemoves or rescue = "
        "false: they are only reported",
    )
    sweep_unmarks: bool = Field(True, description="a sweep removes the ready tag from an instance that could not dump")
    sweep_collects: bool = Field(
        False, description="a sweep starts CollectVmcore for dumps that have no incident; false = it only reports them"
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
        description="hours that the report link in a notification is valid; it expires earlier if the credentials of "
        "the function that signed it do, within hours; 0 = no link",
    )
    notification_email: str = Field(
        "", pattern=r"^$|^[^@\s]+@[^@\s]+\.[^@\s]+$", description="address subscribed to the topic; empty = none"
    )
