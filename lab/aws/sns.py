"""SNS: keeps what was published, so that tests and the demo can read the mail. Owns no topic."""

import json
from dataclasses import dataclass
from typing import Any

from moto.sns.exceptions import InvalidParameterValue
from moto.sns.models import SNSBackend

from lab.aws.patches import Patches
from lab.aws.state import AccountState

# "UTF-8 text with no line breaks or control characters, and less than 100 characters long"; 256 KiB (Publish).
_MOST_SUBJECT_CHARACTERS = 99
_MOST_MESSAGE_BYTES = 262_144


@dataclass(frozen=True)
class Notification:
    """One message as the subscribers of a topic get it."""

    topic_arn: str
    subject: str
    message: str


class Outbox:
    """Everything that was published, and a way for services to publish."""

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self.notifications: list[Notification] = []

    def publish(self, topic_arn: str, subject: str, message: dict[str, Any], principal: str, source_arn: str) -> None:
        """Sends what a service, or Lambda in the role of a function, has to say. Real: where the topic's policy or its
        key's does not let it, nothing is sent, and nobody is told."""
        denied = self._state.permissions.denied_to_publish(principal, source_arn, topic_arn)
        if denied is not None:
            self._state.events.emit("iam", principal, f"denied: {denied} for {source_arn}")
            return
        self._state.backend("sns").publish(
            json.dumps(message, default=str), arn=topic_arn, subject=subject[:_MOST_SUBJECT_CHARACTERS]
        )


def _require_fit(subject: str, message: str) -> None:
    """Real: Publish refuses these. moto: a subject of 100 characters and any control character pass."""
    if len(subject) > _MOST_SUBJECT_CHARACTERS or not subject.isprintable():
        raise InvalidParameterValue("Invalid parameter: Subject")
    if len(message.encode()) > _MOST_MESSAGE_BYTES:
        raise InvalidParameterValue("Invalid parameter: Message too long")


def install(patches: Patches, state: AccountState) -> Outbox:
    """Listens to what moto publishes."""
    outbox = Outbox(state)

    def make(original: Any) -> Any:
        def publish(backend: SNSBackend, message: str, arn: str | None = None, *args: Any, **kwargs: Any) -> str:
            subject = kwargs.get("subject") or ""
            _require_fit(subject, message)
            message_id: str = original(backend, message, arn, *args, **kwargs)
            outbox.notifications.append(Notification(arn or "", subject, message))
            state.events.emit("sns", (arn or "").rsplit(":", 1)[-1], subject)
            return message_id

        return publish

    patches.replace(SNSBackend, "publish", make)
    return outbox
