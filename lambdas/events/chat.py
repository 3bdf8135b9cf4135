"""The chat message of an event, in the format of Amazon Q Developer in chat applications. Pure.

The format: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
"""

from collections.abc import Iterable, Sequence

from lambdas.events.schema import Chat, ChatContent, ChatMetadata, EventType
from lambdas.runtime.visible_text import clip

# The format documents no limits; a channel shows no more of a title.
_LONGEST_TITLE, _LONGEST_TEXT = 250, 3_000
# A kernel's log can hold any text. In Slack `<!channel>` calls everyone and `<http://…|words>` hides an address; in
# Teams `[words](http://…)` does.
_HARMLESS = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")"})


def chat(  # noqa: PLR0913 - the parts of a message
    event_type: EventType,
    *,
    thread: str,
    event: str,
    title: str,
    lines: Sequence[str],
    next_steps: Sequence[str] = (),
    keywords: Iterable[str | None] = (),
    report_url: str = "",
) -> Chat:
    """`thread` is what its messages are about, and `event` the rest of the event's id. Empty lines are left out."""
    title = _harmless(title, _LONGEST_TITLE)
    description = "\n".join(_harmless(line, _LONGEST_TEXT) for line in lines if line)
    if report_url:
        description += f"\nReport: {report_url}"
    return Chat(
        id=f"{thread}/{event}",
        content=ChatContent(
            title=title,
            description=description.strip() or title,
            next_steps=[_harmless(each, _LONGEST_TEXT) for each in next_steps],
            keywords=[each for each in keywords if each],
        ),
        metadata=ChatMetadata(thread_id=thread, summary=title, event_type=event_type.value),
    )


def _harmless(text: str, longest: int) -> str:
    return clip(text, longest).translate(_HARMLESS)
