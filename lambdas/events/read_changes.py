"""Which events a change of an incident's record stands for. Pure.

The same change gives the same events with the same ids, and a repeated write gives none: so each is sent once a state,
however often a function or the stream repeats itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lambdas.events.chat import chat
from lambdas.events.schema import (
    Chat,
    Detail,
    DumpSaved,
    EventType,
    IncidentConcluded,
    IncidentOpened,
    InterruptSent,
    Vmcore,
)
from lambdas.incident.record import Incident, Verdict
from lambdas.runtime.links import console_link
from lambdas.runtime.refusal_advice import next_step
from lambdas.runtime.visible_text import one_line

# PutEvents takes 256 KiB for one event; people read these texts.
_LONGEST = 2_000
_KEY = "incident#"
_SENT, _UNCERTAIN = "interrupt-sent", "interrupt-uncertain"
_REFUSALS = (Verdict.REFUSED, Verdict.UNSUPPORTED)


def read_changes(before: Mapping[str, Any] | None, after: Mapping[str, Any], *, bucket: str) -> list[Detail]:
    """The events between two images of a record, in their order; `before` is None for a new record."""
    # What a phase notes before anybody opened the incident has no more than its key.
    known = {"incidentId": str(after["pk"]).removeprefix(_KEY)}
    old, new = Incident.model_validate(known | dict(before or {})), Incident.model_validate(known | dict(after))
    if new.is_quiet:
        # One more replaced node whose dump volume is empty, or is not read yet: the sweep reports them.
        return []
    events = []
    if before is None:
        events.append(_opened(new))
    events.extend(_of_timeline(old, new, bucket))
    if execution := _concluded_by(old, new):
        events.append(_concluded(new, execution, bucket))
    return events


def _opened(new: Incident) -> Detail:
    at = new.opened_at or ""
    words = f"{_who(new)}: an incident was opened."
    return IncidentOpened(
        **_common(new, "opened", at=at),
        origin=new.origin,
        alarm_name=_line(new.alarm_name),
        chat=_chat(
            new, IncidentOpened.type, event="opened", title=words, lines=[_line(new.alarm_name), _line(new.detail)]
        ),
    )


def _of_timeline(old: Incident, new: Incident, bucket: str) -> Iterator[Detail]:
    known = {entry["event"] for entry in old.timeline}
    for entry in new.timeline[len(old.timeline) :]:
        event = entry["event"]
        if event in (_SENT, _UNCERTAIN) and not known & {_SENT, _UNCERTAIN}:
            yield _interrupted(new, entry)
        elif event == "verified" and event not in known:
            yield _saved(new, entry, bucket)
        known.add(event)


def _interrupted(new: Incident, entry: Mapping[str, str]) -> Detail:
    is_certain = entry["event"] == _SENT
    words = "was interrupted" if is_certain else "may have been interrupted: EC2's answer was lost"
    return InterruptSent(
        **_common(new, "interrupt-sent", at=entry["at"]),
        is_certain=is_certain,
        reason=_line(new.reason),
        chat=_chat(
            new,
            InterruptSent.type,
            event="interrupt-sent",
            title=f"{_who(new)} {words}.",
            lines=[_line(new.detail), "Its kernel writes a dump and reboots. Do not reboot or stop it meanwhile."],
        ),
    )


def _saved(new: Incident, entry: Mapping[str, str], bucket: str) -> Detail:
    return DumpSaved(
        **_common(new, "dump-saved", at=entry["at"]),
        vmcore=_vmcore(new, new.object_keys["vmcore"], bucket),
        chat=_chat(
            new,
            DumpSaved.type,
            event="dump-saved",
            title=f"{_who(new)}: the vmcore is in the bucket, verified.",
            lines=[_line(entry.get("detail"))],
        ),
    )


def _concluded_by(old: Incident, new: Incident) -> str:
    """The execution that has just given or told the verdict; for a refusal, which starts none, its reason."""
    if new.verdict is None:
        return ""
    if new.concluded_by != old.concluded_by:
        return new.concluded_by or ""
    if new.notified_by not in (old.notified_by, new.concluded_by):
        return new.notified_by or ""
    is_refusal = new.origin == "alarm" and new.concluded_by is None
    return new.reason or "refused" if is_refusal and old.verdict is None else ""


def _concluded(new: Incident, execution: str, bucket: str) -> Detail:
    assert new.verdict is not None  # noqa: S101 - for mypy: _concluded_by has seen it
    id_end = f"concluded/{execution}"
    reason = new.verdict_reason or f"{new.reason}: {new.detail}"
    at = new.notified_at if new.notified_by == execution else new.concluded_at
    report = console_link(bucket=bucket, region=new.region, key=new.keys.get("report", ""))
    return IncidentConcluded(
        **_common(new, id_end, at=at or new.opened_at or ""),
        verdict=new.verdict.value,
        reason=_line(reason),
        crash_class=_line(new.crash_class),
        signature=_line(new.signature),
        sentence=_line(new.sentence),
        panic_line=_line(new.panic_line),
        kernel=_line(new.kernel),
        vmcore=_vmcore(new, new.keys["vmcore"], bucket) if "vmcore" in new.keys else None,
        report_url=report,
        chat=_chat(
            new,
            IncidentConcluded.type,
            event=id_end,
            title=f"{_who(new)}: {new.verdict.value}. {_line(new.sentence)}".strip(),
            lines=[_line(new.panic_line), _line(reason)],
            next_steps=[_next_step(new)],
            report_url=report,
        ),
    )


def _next_step(incident: Incident) -> str:
    if incident.verdict in _REFUSALS:
        return next_step(incident.reason or "")
    return f"See `hangdump incident {incident.incident_id}`."


def _chat(new: Incident, event_type: EventType, **parts: Any) -> Chat:
    return chat(event_type, thread=new.incident_id, keywords=(new.instance_id, new.verdict), **parts)


def _common(new: Incident, id_end: str, *, at: str) -> dict[str, Any]:
    return {
        "event_id": f"{new.incident_id}/{id_end}",
        "at": at,
        "incident_id": new.incident_id,
        "instance_id": new.instance_id,
    }


def _vmcore(new: Incident, key: str, bucket: str) -> Vmcore:
    return Vmcore(bucket=bucket, key=key, size_bytes=new.upload.size_bytes if new.upload else None)


def _who(new: Incident) -> str:
    twin = f" (the twin of the drill {_line(new.drill)})" if new.drill else ""
    return f"{new.instance_id}{twin}" if new.instance_id else "No instance"


def _line(text: str | None) -> str:
    return one_line(text or "", _LONGEST)
