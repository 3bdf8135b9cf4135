"""What a sweep has seen, as plain values. Owns neither the looking nor what is concluded from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

# In place of an instance's state: EC2 was asked and knows no such instance.
GONE = "gone"
# What EC2 keeps showing for up to an hour after the end.
NO_LONGER_THERE = (GONE, "terminated")


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume that carries our tags: a dump volume, or a copy that a rescue made, which then names its execution."""

    volume_id: str
    instance_id: str
    rescue: str
    incident_id: str
    is_of_this_stack: bool
    is_attached: bool
    size_gib: int
    created_at: datetime
    # Of a copy: the dump volume
    copy_of: str = ""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A snapshot that a rescue took of `volume_id`."""

    snapshot_id: str
    volume_id: str
    instance_id: str
    rescue: str
    incident_id: str
    is_of_this_stack: bool
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Collector:
    """An instance that a rescue launched to read the dump of `instance_id`."""

    collector_id: str
    instance_id: str
    rescue: str
    incident_id: str
    is_of_this_stack: bool
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
    """An incident record, and whether an execution works on it now."""

    incident_id: str
    instance_id: str
    state: str
    verdict: str
    opened_at: datetime
    is_running: bool
    auto_scaling_group: str = ""


@dataclass(frozen=True, kw_only=True)
class InStandby:
    """An instance that an Auto Scaling group holds in Standby, and whose incident says that we put it there."""

    instance_id: str
    incident_id: str
    auto_scaling_group: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a ready instance said of itself; `is_ready` None and `uncollected` "" are what was not heard."""

    instance_id: str
    is_reachable: bool
    ping_status: str = ""
    is_ready: bool | None = None
    kernel: str = ""
    # code -> what was observed, findings of the severity error only
    faults: Mapping[str, str] = field(default_factory=dict)
    uncollected: str = ""
    is_complete: bool = False


@dataclass(frozen=True, kw_only=True)
class Found:
    """Everything. What is absent from a mapping was not looked up, which is not the same as not there."""

    volumes: tuple[Volume, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    collectors: tuple[Collector, ...] = ()
    uploads: tuple[Upload, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    in_standby: tuple[InStandby, ...] = ()
    checked: tuple[Checked, ...] = ()
    # Running and enrolled -> does it say that it is ready. None: nobody looked.
    fleet: Mapping[str, bool] | None = None
    # EC2's word for its state, or GONE
    instances: Mapping[str, str] = field(default_factory=dict)
    # None: there is no such record
    incidents: Mapping[str, IncidentFacts | None] = field(default_factory=dict)
    # Names of executions at work
    running: frozenset[str] = frozenset()
