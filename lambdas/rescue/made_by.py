"""Decides whether a rescue made a resource that carries its tags. Pure.

Whoever may tag can give these tags to anything. So the record of the incident must say that this rescue worked on it,
for that instance, and the resource must be younger.
"""

from datetime import datetime, timedelta
from typing import Protocol

from lambdas.runtime.moment import CLOCK_SLACK_SECONDS


class Rescued(Protocol):
    """What the record of an incident says."""

    @property
    def instance_id(self) -> str: ...

    @property
    def execution_name(self) -> str | None: ...

    @property
    def rescue_opened_at(self) -> datetime | None: ...


def why_not_made_by(rescue: str, incident: Rescued | None, *, rescued_instance: str, made_at: datetime) -> str:
    """Why the resource must stay; empty when the rescue made it."""
    if incident is None or not rescue or incident.execution_name != rescue or incident.rescue_opened_at is None:
        return "no incident says that this rescue works on it"
    if incident.instance_id != rescued_instance:
        return "its incident is another instance's"
    if made_at < incident.rescue_opened_at - timedelta(seconds=CLOCK_SLACK_SECONDS):
        return "it is older than the rescue"
    return ""
