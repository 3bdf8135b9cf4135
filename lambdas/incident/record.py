"""The incident record: its fields, states and identifiers. table.py reads and writes it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from lambdas.incident.drill_keys import DRILL_PREFIX
from lambdas.incident.object_keys import key_prefix, keys
from lambdas.runtime import moment
from lambdas.runtime.visible_text import visible_line


class State(StrEnum):
    """The state of an incident. In a state of CRASHED the interrupt may have been sent, so that no other one is."""

    OPENED = "opened"
    INTERRUPTING = "interrupting"
    INTERRUPTED = "interrupted"
    INTERRUPT_UNCERTAIN = "interrupt-uncertain"
    # The kernel panicked on its own: its dump is fetched, and nothing is interrupted.
    PANICKED = "panicked"
    INTERRUPT_REFUSED = "interrupt-refused"
    REFUSED = "refused"
    DRY_RUN = "dry-run"
    CONCLUDED = "concluded"


# The origin of an incident that a sweep opened, to read the dump volume of a terminated instance.
ORPHAN = "orphan"
# The event of the timeline with which a rescue begins.
RESCUE_OPENED = "rescue-opened"
# The event with which an execution of AnalyzeVmcore launches an instance; its detail is the name of the execution.
ANALYSIS_OPENED = "analysis-opened"
# The same of DrillDump, in the record of the drill: drill#<execution name>, so that nobody takes it for an incident's.
DRILL_OPENED = "drill-opened"

CRASHED = (State.INTERRUPTING, State.INTERRUPTED, State.INTERRUPT_UNCERTAIN, State.PANICKED)


class Verdict(StrEnum):
    """How an incident ended."""

    CAPTURED = "captured"
    INCOMPLETE = "incomplete"
    NO_PANIC = "no-panic"
    PANIC_NO_DUMP = "panic-no-dump"
    UNSUPPORTED = "unsupported"
    REFUSED = "refused"
    RESCUED = "rescued"
    FAILED = "failed"


# With these the verified vmcore is in the bucket.
SAFE_VERDICTS = (Verdict.CAPTURED, Verdict.RESCUED)


class ConsoleBaseline(BaseModel):
    """The end and the length of the console's text before the interrupt. Text after it belongs to this crash."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    end: str
    length: int


class DumpWatch(BaseModel):
    """The progress of a dump, as the polls have seen it so far."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    # A text that changes with the dump's progress, and when it last changed; 0: no progress seen yet.
    sign: str = ""
    progress_epoch: int = 0
    crash_kernels: int = 0
    saw_saved: bool = False
    # Why the crash kernel waited for its parked dump volume in vain, as it said itself.
    gave_up: str = ""
    console_seen: ConsoleBaseline | None = None


class Upload(BaseModel):
    """The multipart upload under way and its vmcore."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    upload_id: str
    vmcore_path: str
    size_bytes: int
    modified_epoch: int
    part_bytes: int
    parts_per_batch: int


class Incident(BaseModel):
    """One item `incident#<incidentId>`; the table and incident.json name the fields in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    incident_id: str
    instance_id: str = ""
    account_id: str = ""
    region: str = ""
    state: State = State.OPENED
    # alarm | manual (CollectVmcore with "interrupt": true) | fetch (CollectVmcore for an existing dump) | orphan
    origin: str = ""
    alarm_name: str | None = None
    # For a check that watch_fleet started: its hang, which may be checked several times.
    hang: str = ""
    opened_at: str | None = None
    execution_name: str | None = None
    execution_arn: str | None = None
    decision: str | None = None
    reason: str | None = None
    detail: str | None = None
    evidence: dict[str, Any] = Field(default_factory=dict)
    # The drill whose twin the instance is.
    drill: str | None = None
    # claimed: an invocation took the right to interrupt. interrupted: just before SendDiagnosticInterrupt was called.
    claimed_epoch: int | None = None
    interrupted_epoch: int | None = None
    # The kernel panicked on its own, after this time.
    panicked_epoch: int | None = None
    # When the start of the incident was announced.
    announced_at: str | None = None
    # Its network, for a rescue: EC2 forgets that of a terminated instance. SubnetId, SecurityGroups, PublicIpAddress.
    network: dict[str, Any] = Field(default_factory=dict)
    # For a twin of it, when EC2 has forgotten the instance: ImageId, InstanceType, Architecture.
    launched_from: dict[str, Any] = Field(default_factory=dict)
    # The wait for the dump ends at the deadline; while the dump makes progress it goes on until the limit.
    dump_deadline_epoch: int | None = None
    dump_limit_epoch: int | None = None
    dump_watch: DumpWatch | None = None
    console_baseline: ConsoleBaseline | None = None
    # The group in which this incident put the instance into Standby, or may have; "" once it is back.
    auto_scaling_group: str | None = None
    # The evidence stored before the interrupt, name -> key, and why other items were not stored.
    evidence_keys: dict[str, str] = Field(default_factory=dict)
    evidence_problems: list[str] = Field(default_factory=list)
    last_phase: str | None = None
    # On the console, by any poll since the interrupt.
    saw_crash_kernel: bool = False
    upload: Upload | None = None
    manifest_count: int = 0
    # The parts held by S3 plus the batches hashed, as of the last round, and the rounds since without progress.
    upload_progress: int = -1
    stalled_rounds: int = 0
    verdict: Verdict | None = None
    verdict_reason: str | None = None
    # The triage's findings; crashes with the same cause have the same signature.
    panic_line: str | None = None
    crash_class: str | None = None
    sentence: str | None = None
    signature: str | None = None
    kernel: str | None = None
    concluded_by: str | None = None
    concluded_at: str | None = None
    # The objects that were written, name -> key.
    keys: dict[str, str] = Field(default_factory=dict)
    # The dump volume that its rescue deleted, and when.
    removed_volume_id: str | None = None
    removed_volume_at: str | None = None
    notified_at: str | None = None
    # The execution whose end was notified.
    notified_by: str | None = None
    timeline: list[dict[str, str]] = Field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The known fields, in camelCase, for the table and for people."""
        return in_visible_text(self.model_dump(mode="json", by_alias=True, exclude_none=True))

    @property
    def key_prefix(self) -> str:
        """The prefix of the incident's objects in the bucket."""
        return key_prefix(
            account_id=self.account_id, region=self.region, instance_id=self.instance_id, incident=self.incident_id
        )

    @property
    def object_keys(self) -> dict[str, str]:
        """The keys of the incident's objects, existing or not."""
        return keys(self.key_prefix)

    def facts(self, *, since_epoch: int) -> dict[str, Any]:
        """The facts that an execution's states need. Only a vmcore later than since_epoch counts; 0: any."""
        return {
            "incidentId": self.incident_id,
            "instanceId": self.instance_id,
            "accountId": self.account_id,
            "region": self.region,
            "sinceEpoch": since_epoch,
            "since": str(since_epoch) if since_epoch else "none",
            "isCrashExpected": self.origin not in ("fetch", ORPHAN),
        }

    @property
    def is_crashed(self) -> bool:
        """Whether its kernel has panicked, or may have: from the claim on, unless EC2 surely refused the interrupt."""
        return self.state in CRASHED or self.interrupted_epoch is not None or self.panicked_epoch is not None

    @property
    def is_quiet(self) -> bool:
        """Whether people need not be told: a sweep had an orphaned dump volume read, and there was no vmcore on it.

        The sweep reports such a volume, in one message with all others.
        """
        return (
            self.origin == ORPHAN and self.upload is None and self.verdict not in (*SAFE_VERDICTS, Verdict.INCOMPLETE)
        )

    @property
    def rescue_opened_at(self) -> datetime | None:
        """When its last rescue began: the execution of execution_name, unless another kind of execution followed."""
        return rescue_opened_at(self.timeline)

    def made_since(self, execution: str) -> datetime | None:
        """When the execution began to make things for this incident; None: it never did."""
        return made_since(self.timeline, execution, last_execution=self.execution_name)

    def makes_only_a_twin(self, execution: str) -> bool:
        """Whether the execution is an analysis of this incident, or this drill."""
        return bool(twins_opened(self.timeline, execution))

    @property
    def started_epoch(self) -> int:
        """When the interrupt was sent, or else claimed, or the panic happened, by AWS' clock; 0: never."""
        return self.interrupted_epoch or self.claimed_epoch or self.panicked_epoch or 0

    @property
    def since_epoch(self) -> int:
        """By the guest's clock. Only a later vmcore or boot belongs to this incident; 0: any vmcore does."""
        return max(0, self.started_epoch - moment.CLOCK_SLACK_SECONDS)


def timeline_entry(at: datetime, event: str, detail: str = "") -> dict[str, str]:
    """One entry of the incident's timeline."""
    return {"at": moment.iso(at), "event": event} | ({"detail": visible_line(detail)} if detail else {})


def rescue_opened_at(timeline: Sequence[Mapping[str, str]]) -> datetime | None:
    """When the last rescue in this timeline began."""
    return max((moment.parse(entry["at"]) for entry in timeline if entry["event"] == RESCUE_OPENED), default=None)


def record_key(incident_id: str) -> str:
    """The key of an incident's record; the id of a drill is its key."""
    return incident_id if incident_id.startswith(DRILL_PREFIX) else f"incident#{incident_id}"


def twins_opened(timeline: Sequence[Mapping[str, str]], execution: str) -> list[datetime]:
    """When the execution, an analysis or a drill, said that it would launch a twin; empty for any other execution."""
    return [
        moment.parse(entry["at"])
        for entry in timeline
        if entry["event"] in (ANALYSIS_OPENED, DRILL_OPENED) and entry.get("detail") == execution
    ]


def made_since(timeline: Sequence[Mapping[str, str]], execution: str, *, last_execution: str | None) -> datetime | None:
    """When this execution began to make what is removed again; None: the record does not say that it did.

    Of several analyses of an incident each has its own entry, so none takes the proof from another. A rescue is the
    last execution of the incident, and its entry may hold another text.
    """
    if twins := twins_opened(timeline, execution):
        # A retry of the state adds an entry, possibly after the launch.
        return min(twins)
    return rescue_opened_at(timeline) if execution and execution == last_execution else None


# Compared with later text of the console, or given back to the instance: they stay as they were read.
_AS_READ = ("consoleBaseline", "dumpWatch", "upload")


def in_visible_text(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record, whose words (of a console, an alarm, a tag, an error) are lines of visible characters."""
    return {name: value if name in _AS_READ else _shown(value) for name, value in fields.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return visible_line(value)
    if isinstance(value, dict):
        return {name: _shown(member) for name, member in value.items()}
    return [_shown(member) for member in value] if isinstance(value, list) else value
