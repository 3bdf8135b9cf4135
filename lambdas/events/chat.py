"""The chat message of an event, in the format of Amazon Q Developer in chat applications. Pure.

The format: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
"""

from collections.abc import Sequence

from lambdas.events.schema import Chat, ChatContent, ChatMetadata, EventType
from lambdas.incident.record import Incident, Verdict
from lambdas.runtime.refusal_advice import next_step
from lambdas.runtime.visible_text import clip

# The format documents no limits; a channel shows no more of a title.
_LONGEST_TITLE, _LONGEST_TEXT = 250, 3_000
_REFUSALS = (Verdict.REFUSED, Verdict.UNSUPPORTED)
# A kernel's log can hold any text. In Slack `<!channel>` calls everyone and `<http://…|words>` hides an address; in
# Teams `[words](http://…)` does.
_HARMLESS = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")"})


def chat(
    incident: Incident,
    event_type: EventType,
    *,
    event: str,
    title: str,
    lines: Sequence[str],
    report_url: str = "",
) -> Chat:
    """`event` is the end of the event's id. Empty lines are left out."""
    description = "\n".join(_harmless(line, _LONGEST_TEXT) for line in lines if line)
    if report_url:
        description += f"\nReport: {report_url}"
    return Chat(
        id=f"{incident.incident_id}/{event}",
        content=ChatContent(
            title=_harmless(title, _LONGEST_TITLE),
            description=description.strip() or _harmless(title, _LONGEST_TITLE),
            next_steps=[_next_step(incident)] if event_type is EventType.INCIDENT_CONCLUDED else [],
            keywords=[each for each in (incident.instance_id, incident.verdict) if each],
        ),
        metadata=ChatMetadata(
            thread_id=incident.incident_id, summary=_harmless(title, _LONGEST_TITLE), event_type=event_type.value
        ),
    )


def _next_step(incident: Incident) -> str:
    if incident.verdict in _REFUSALS:
        return next_step(incident.reason or "")
    return f"See `hangdump incident {incident.incident_id}`."


def _harmless(text: str, longest: int) -> str:
    return clip(text, longest).translate(_HARMLESS)
