"""The events on the default bus: their types and fields, as docs/events.md shows them. Pure.

A field is only ever added; a change that breaks a consumer gets another SCHEMA_VERSION.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

SOURCE = "hangdump"
SCHEMA_VERSION: Literal["1"] = "1"


class EventType(StrEnum):
    """The `detail-type` of an event."""

    INCIDENT_OPENED = "Incident Opened"
    INTERRUPT_SENT = "Interrupt Sent"
    DUMP_SAVED = "Dump Saved"
    INCIDENT_CONCLUDED = "Incident Concluded"
    READINESS_CHANGED = "Readiness Changed"


class _Fields(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class ChatContent(_Fields):
    """What a channel shows."""

    text_type: Literal["client-markdown"] = "client-markdown"
    title: str
    description: str
    next_steps: list[str] = []
    keywords: list[str] = []


class ChatMetadata(_Fields):
    """How a channel groups messages: those of an incident make one thread, and those of an instance's readiness."""

    thread_id: str
    summary: str
    event_type: str


class Chat(_Fields):
    """A finished message, in the custom-notification format of Amazon Q Developer in chat applications."""

    version: Literal["1.0"] = "1.0"
    source: Literal["custom"] = "custom"
    id: str
    content: ChatContent
    metadata: ChatMetadata


class Vmcore(_Fields):
    """A vmcore in the bucket."""

    bucket: str
    key: str
    size_bytes: int | None = None


_VMCORE = "`bucket`, `key` and `sizeBytes` of the vmcore."


class Detail(_Fields):
    """The fields of every event."""

    type: ClassVar[EventType]

    schema_version: Literal["1"] = SCHEMA_VERSION
    event_id: Annotated[str, Field(description="The same one if EventBridge delivers the event twice.")]
    at: Annotated[str, Field(description="When it happened, ISO 8601 in UTC.")]
    instance_id: Annotated[str, Field(description="Empty when the input or the alarm named no instance.")]
    chat: Annotated[Chat, Field(description="A finished chat message.")]


class IncidentDetail(Detail):
    """The fields of an incident's events."""

    incident_id: Annotated[str, Field(description="As in the record and in the keys of the bucket.")]


class IncidentOpened(IncidentDetail):
    """A record of an incident was made: a hang was judged, or a collection or a rescue was started by hand."""

    type = EventType.INCIDENT_OPENED

    origin: Annotated[str, Field(description="`alarm`, `manual` (an interrupt by hand) or `fetch` (of a vmcore).")]
    alarm_name: Annotated[str, Field(description="The alarm that started the check.")] = ""


class InterruptSent(IncidentDetail):
    """The diagnostic interrupt was sent."""

    type = EventType.INTERRUPT_SENT

    is_certain: Annotated[bool, Field(description="False when EC2's answer was lost: the instance may not have it.")]
    reason: Annotated[str, Field(description="The reason of the decision, such as the proof of the hang.")]


class DumpSaved(IncidentDetail):
    """The vmcore in the bucket is complete and identical to the one on the instance."""

    type = EventType.DUMP_SAVED

    vmcore: Annotated[Vmcore, Field(description=_VMCORE)]


class IncidentConcluded(IncidentDetail):
    """An incident has its verdict. A later execution for the same incident may give it another one."""

    type = EventType.INCIDENT_CONCLUDED

    verdict: Annotated[str, Field(description="One of the eight in the README.")]
    reason: Annotated[str, Field(description="What happened, and what to do.")]
    crash_class: Annotated[str, Field(description="One of those in docs/crash-classes.md.")] = ""
    signature: Annotated[str, Field(description="The same one for crashes with the same cause.")] = ""
    sentence: Annotated[str, Field(description="What the kernel was doing.")] = ""
    panic_line: Annotated[str, Field(description="The kernel's panic line.")] = ""
    kernel: Annotated[str, Field(description="The kernel's release.")] = ""
    vmcore: Annotated[Vmcore | None, Field(description=f"{_VMCORE} Absent without one.")] = None
    report_url: Annotated[str, Field(description="The report in the S3 console; needs a sign-in.")] = ""


class Why(_Fields):
    """A reason of the fleet table."""

    code: str
    severity: str
    observed: str
    remedy: str


class ReadinessChanged(Detail):
    """An enrolled instance has another status, or begins to need somebody."""

    type = EventType.READINESS_CHANGED

    status: Annotated[str, Field(description="One of those in docs/fleet.md.")]
    previous_status: Annotated[str, Field(description="Empty for an instance that is new.")]
    needs_action: Annotated[bool, Field(description="Whether somebody has to act; `reasons` says how.")]
    reasons: Annotated[
        list[Why], Field(description="Why it has this status: `code`, `severity`, `observed` and `remedy` of each.")
    ] = []
    kernel: Annotated[str, Field(description="The kernel's release at the last check.")] = ""
    volume_id: Annotated[str, Field(description="The dump volume.")] = ""
    group: Annotated[str, Field(description="The Auto Scaling group.")] = ""
    zone: Annotated[str, Field(description="The Availability Zone.")] = ""


TYPES: tuple[type[Detail], ...] = (IncidentOpened, InterruptSent, DumpSaved, IncidentConcluded, ReadinessChanged)
