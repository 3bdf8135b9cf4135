"""SNS: keeps what was published, so that tests and the demo can read the mail. Owns no topic."""

import json
from dataclasses import dataclass
from typing import Any

from moto.sns.models import SNSBackend

from lab.aws.patches import Patches
from lab.aws.state import AccountState


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

    def publish(self, topic_arn: str, subject: str, message: dict[str, Any]) -> None:
        # Subjects have at most 100 characters.
        self._state.backend("sns").publish(json.dumps(message, default=str), arn=topic_arn, subject=subject[:100])


def install(patches: Patches, state: AccountState) -> Outbox:
    """Not a repair: moto publishes; this listens."""
    outbox = Outbox(state)

    def make(original: Any) -> Any:
        def publish(backend: SNSBackend, message: str, arn: str | None = None, *args: Any, **kwargs: Any) -> str:
            message_id: str = original(backend, message, arn, *args, **kwargs)
            subject = kwargs.get("subject") or ""
            outbox.notifications.append(Notification(arn or "", subject, message))
            state.events.emit("sns", (arn or "").rsplit(":", 1)[-1], subject)
            return message_id

        return publish

    patches.replace(SNSBackend, "publish", make)
    return outbox
