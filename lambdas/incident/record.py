"""The incident record: its fields, states and identifiers. Reading and writing it is incident_table's."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from lambdas.incident.object_keys import key_prefix, keys
from lambdas.runtime import moment

# The guest's clock, which dates its boot and its vmcore, may be behind AWS' clock by this much.
CLOCK_SLACK_SECONDS = 60


class State(StrEnum):
    """How far an incident came. A record in one of INTERRUPT_STARTED never interrupts again."""

    OPENED = "opened"
    INTERRUPTING = "interrupting"
    INTERRUPTED = "interrupted"
    INTERRUPT_UNCERTAIN = "interrupt-uncertain"
    INTERRUPT_REFUSED = "interrupt-refused"
    REFUSED = "refused"
    DRY_RUN = "dry-run"
    CONCLUDED = "concluded"


INTERRUPT_STARTED = (State.INTERRUPTING, State.INTERRUPTED, State.INTERRUPT_UNCERTAIN)


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


# The vmcore is in the bucket, verified.
SAFE_VERDICTS = (Verdict.CAPTURED, Verdict.RESCUED)


class ConsoleBaseline(BaseModel):
    """The end of the console's text before the interrupt, and how long that text was: what follows is this crash."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    end: str
    length: int


class DumpWatch(BaseModel):
    """What the looks at a dump have seen of its progress so far."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    # Whatever changes when the dump gets on, and when it changed last; 0: nothing was seen yet.
    sign: str = ""
    progress_epoch: int = 0
    crash_kernels: int = 0
    saw_saved: bool = False
    console_seen: ConsoleBaseline | None = None


class Upload(BaseModel):
    """The multipart upload under way, and the vmcore that it is for."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    upload_id: str
    vmcore_path: str
    size_bytes: int
    modified_epoch: int
    part_bytes: int
    parts_per_batch: int


class Incident(BaseModel):
    """One item `incident#<incidentId>`; names in the table and in incident.json are the camelCase of these."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    incident_id: str
    instance_id: str = ""
    account_id: str = ""
    region: str = ""
    state: State = State.OPENED
    # alarm | manual (CollectVmcore with "interrupt": true) | fetch (CollectVmcore for a dump that is already there)
    origin: str = ""
    alarm_name: str | None = None
    opened_at: str | None = None
    execution_name: str | None = None
    execution_arn: str | None = None
    decision: str | None = None
    reason: str | None = None
    detail: str | None = None
    evidence: dict[str, Any] = Field(default_factory=dict)
    # Claimed: the right to interrupt was taken. Interrupted: SendDiagnosticInterrupt is about to be called.
    claimed_epoch: int | None = None
    interrupted_epoch: int | None = None
    # The wait for the dump ends at the deadline, later while the dump gets on, never after the limit.
    dump_deadline_epoch: int | None = None
    dump_limit_epoch: int | None = None
    dump_watch: DumpWatch | None = None
    console_baseline: ConsoleBaseline | None = None
    # The group in whose Standby this incident holds, or may hold, the instance; "" once it was brought back.
    auto_scaling_group: str | None = None
    # What was stored before the interrupt, name -> key, and what of it could not be.
    evidence_keys: dict[str, str] = Field(default_factory=dict)
    evidence_problems: list[str] = Field(default_factory=list)
    last_phase: str | None = None
    # By any look at the console since the interrupt.
    saw_crash_kernel: bool = False
    upload: Upload | None = None
    manifest_count: int = 0
    # Of the upload: what S3 held and what was described at the last look, and how many looks saw no more than that.
    upload_progress: int = -1
    stalled_rounds: int = 0
    verdict: Verdict | None = None
    verdict_reason: str | None = None
    # What the kernel did, in triage's words; repeats of one trouble have one signature.
    panic_line: str | None = None
    crash_class: str | None = None
    sentence: str | None = None
    signature: str | None = None
    concluded_by: str | None = None
    # Of the objects that were written, name -> key.
    keys: dict[str, str] = Field(default_factory=dict)
    notified_at: str | None = None
    # The execution whose end was told.
    notified_by: str | None = None
    timeline: list[dict[str, str]] = Field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Everything that is known, camelCase."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @property
    def key_prefix(self) -> str:
        """Where in the bucket its objects lie."""
        return key_prefix(
            account_id=self.account_id, region=self.region, instance_id=self.instance_id, incident=self.incident_id
        )

    @property
    def object_keys(self) -> dict[str, str]:
        """The names of its objects, whether or not they are there."""
        return keys(self.key_prefix)

    def facts(self, *, since_epoch: int) -> dict[str, Any]:
        """What the states of an execution need to know; only a vmcore later than since_epoch counts, with 0 any."""
        return {
            "incidentId": self.incident_id,
            "instanceId": self.instance_id,
            "accountId": self.account_id,
            "region": self.region,
            "keyPrefix": self.key_prefix,
            "sinceEpoch": since_epoch,
            "since": str(since_epoch) if since_epoch else "none",
            "isCrashExpected": self.origin != "fetch",
        }

    @property
    def is_interrupt_started(self) -> bool:
        """True from the claim on, unless EC2 surely refused: this incident may have sent its one interrupt."""
        return self.state in INTERRUPT_STARTED or self.interrupted_epoch is not None

    @property
    def started_epoch(self) -> int:
        """When the interrupt was sent, or at worst claimed, by our clock; 0: there was none."""
        return self.interrupted_epoch or self.claimed_epoch or 0

    @property
    def since_epoch(self) -> int:
        """By the guest's clock: only a later vmcore and a later boot belong to this incident; 0: any vmcore does."""
        return max(0, self.started_epoch - CLOCK_SLACK_SECONDS)


def incident_id(at: datetime, instance_id: str) -> str:
    """20261123T040000Z-i-0123456789abcdef0: the same for each delivery of the same state change."""
    return f"{moment.compact(at)}-{instance_id}"


def timeline_entry(at: datetime, event: str, detail: str = "") -> dict[str, str]:
    """One line of the incident's story."""
    return {"at": moment.iso(at), "event": event} | ({"detail": detail} if detail else {})
