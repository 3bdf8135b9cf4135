"""The values that a sweep finds: plain data, without the searches and the judgements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lambdas.incident.record import made_since, twins_opened

# The state of an instance that EC2 does not know.
GONE = "gone"
# EC2 shows an instance as terminated for up to an hour.
NO_LONGER_THERE = (GONE, "terminated")


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume with Hangdump's tags: a dump volume, or one of a short-lived instance, whose execution is `maker`.

    is_removable, here and below: it has this stack's tag, and none that protects it from removal.
    """

    volume_id: str
    instance_id: str
    maker: str
    incident_id: str
    is_removable: bool
    is_attached: bool
    size_gib: int
    created_at: datetime
    # Set on a copy: the dump volume
    copy_of: str = ""
    # Nothing uses it. Neither attached nor available is one that is just created, or broken.
    is_available: bool = False
    is_of_stack: bool = False
    # Somebody has asked to keep it.
    is_retained: bool = False


@dataclass(frozen=True, kw_only=True)
class Orphan:
    """What is recorded of a dump volume whose instance is gone. group "": it was in none, so far as is known."""

    group: str
    has_opted_out: bool
    # Rescues that sweeps have started, when the last one was started, and its incident.
    attempts: int = 0
    tried_at: datetime | None = None
    incident_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Ready instances that a drill of one of them stands for: of one image, type family, kernel and settings."""

    # drill_keys.proof_key
    key: str
    # The one that became ready last, and when.
    instance_id: str
    since: str
    # "": never.
    proven_at: str = ""
    begun_at: str = ""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A snapshot that a rescue took of `volume_id`."""

    snapshot_id: str
    volume_id: str
    instance_id: str
    maker: str
    incident_id: str
    is_removable: bool
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class ParkedSnapshot:
    """A snapshot that is tagged as the parked dump volume of an instance."""

    snapshot_id: str
    instance_id: str
    created_at: datetime
    is_of_stack: bool


@dataclass(frozen=True, kw_only=True)
class ShortLived:
    """An instance that an execution launched: to read the dump of `instance_id`, or to analyse its vmcore."""

    short_lived_id: str
    instance_id: str
    maker: str
    incident_id: str
    is_removable: bool
    # Its launch has the token of that execution.
    is_of_its_maker: bool
    launched_at: datetime


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    instance_id: str
    incident_id: str
    initiated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """The hang alarm of an instance."""

    name: str
    instance_id: str
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class IncidentFacts:
    """An incident record, and whether an execution works on it."""

    incident_id: str
    instance_id: str
    state: str
    verdict: str
    opened_at: datetime
    is_running: bool
    auto_scaling_group: str = ""
    # The last execution.
    execution_name: str = ""
    timeline: Sequence[Mapping[str, str]] = ()
    # Of the verdict.
    reason: str = ""
    # The dump volume that its rescue has deleted.
    removed_volume_id: str = ""
    removed_at: datetime | None = None

    def made_since(self, execution: str) -> datetime | None:
        """When the execution began to make things for this incident; None: it never did."""
        return made_since(self.timeline, execution, last_execution=self.execution_name)

    def makes_only_a_twin(self, execution: str) -> bool:
        """Whether the record says that the execution is an analysis of this incident or a drill, and no rescue."""
        return bool(twins_opened(self.timeline, execution))


@dataclass(frozen=True, kw_only=True)
class InStandby:
    """An instance that is in Standby because its incident put it there."""

    instance_id: str
    incident_id: str
    auto_scaling_group: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The answers of an instance tagged ready; None, and `uncollected` "": no answer."""

    instance_id: str
    is_reachable: bool
    ping_status: str = ""
    is_ready: bool | None = None
    is_crash_kernel_loaded: bool | None = None
    kernel: str = ""
    # Its kdump configuration, as hangdump-ready.service prints it.
    config: str = ""
    # code -> observed value, of the findings with severity error
    faults: Mapping[str, str] = field(default_factory=dict)
    uncollected: str = ""
    is_complete: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that a sweep found. A key that is absent from a mapping was not looked up; that does not mean it is gone."""

    volumes: tuple[Volume, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    parked_snapshots: tuple[ParkedSnapshot, ...] = ()
    # By instance, the snapshot that the record of its parked dump volume names; "": it has no such record.
    parked: Mapping[str, str] = field(default_factory=dict)
    # Of these, the instances whose snapshot is gone.
    unparked: frozenset[str] = frozenset()
    short_lived: tuple[ShortLived, ...] = ()
    uploads: tuple[Upload, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    in_standby: tuple[InStandby, ...] = ()
    checked: tuple[Checked, ...] = ()
    # Running, enrolled instances -> whether tagged ready. None: the search failed.
    fleet: Mapping[str, bool] | None = None
    # EC2's state, or GONE
    instances: Mapping[str, str] = field(default_factory=dict)
    # None: there is no such record
    incidents: Mapping[str, IncidentFacts | None] = field(default_factory=dict)
    # Whether `incidents` holds every incident without a verdict.
    are_incidents_known: bool = False
    # Volumes whose instance is gone. None: ProvisionDumpVolume did not create it for that instance.
    orphans: Mapping[str, Orphan | None] = field(default_factory=dict)
    combinations: tuple[Combination, ...] = ()
    # Names of running executions, of analyses too
    running: frozenset[str] = frozenset()
