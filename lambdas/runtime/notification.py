"""Publishes notifications to SNS."""

from collections.abc import Mapping
from typing import Any

from lambdas.runtime import clients
from lambdas.runtime.visible_text import one_line, visible_line

# SNS: fewer than 100 characters of printable ASCII, and 256 KiB of text.
_SUBJECT_LENGTH = 99
_MESSAGE_BYTES = 64 * 1024
# The longest row is a presigned link.
_LONGEST_ROW = 4_000


def publish(topic_arn: str, *, subject: str, lines: list[str]) -> None:
    """Publishes one message of `lines`; one that is too long ends in a sentence that says how much is missing.

    Whatever the lines quote (a console, an alarm's name, an error of AWS) is visible, and stays within its line.
    """
    printable = "".join(character if " " <= character <= "~" else "?" for character in subject)
    message = "\n".join(map(visible_line, lines)).encode()
    text = message[:_MESSAGE_BYTES].decode(errors="ignore")
    if len(message) > _MESSAGE_BYTES:
        text += f"\n… {len(message) - _MESSAGE_BYTES} bytes are left out: see the incident's record."
    clients.sns().publish(TopicArn=topic_arn, Subject=printable[:_SUBJECT_LENGTH], Message=text)


def sender(drill: str | None) -> str:
    """The subject's first words: nobody should get up for a twin that is crashed on purpose. `drill`: whose it is."""
    return "Hangdump drill" if drill else "Hangdump"


def table(rows: Mapping[str, Any]) -> list[str]:
    """Aligned `name  value` lines; rows without a value are left out."""
    present = {name: value for name, value in rows.items() if value not in (None, "", [], {})}
    width = max((len(name) for name in present), default=0)
    return [f"{name:<{width}}  {one_line(str(value), _LONGEST_ROW)}" for name, value in present.items()]
