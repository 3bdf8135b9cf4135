"""Decides whether an execution made a resource that carries its tags. Pure.

Whoever may tag can give these tags to anything. So the record of the incident must say that this execution works on it,
for that instance, and the resource must be younger.
"""

from datetime import datetime, timedelta
from typing import Protocol

from lambdas.runtime.moment import CLOCK_SLACK_SECONDS


class Worked(Protocol):
    """What the record of an incident, or of a drill, says."""

    @property
    def instance_id(self) -> str: ...

    def made_since(self, execution: str) -> datetime | None:
        """When the execution began to make things for the incident; None: it never did."""

    def makes_only_a_twin(self, execution: str) -> bool:
        """Whether the execution is an analysis or a drill."""


def why_not_made_by(
    execution: str, incident: Worked | None, *, for_instance: str, made_at: datetime, is_instance: bool
) -> str:
    """Why the resource must stay; empty when the execution made it."""
    since = incident.made_since(execution) if incident is not None and execution else None
    if incident is None or since is None:
        return "no incident says that this execution works on it"
    if incident.instance_id != for_instance:
        return "its incident is another instance's"
    if made_at < since - timedelta(seconds=CLOCK_SLACK_SECONDS):
        return "it is older than what the execution makes"
    # The twin's disk goes with it: EC2 deletes it.
    if incident.makes_only_a_twin(execution) and not is_instance:
        return "an analysis or a drill makes nothing but an instance"
    return ""
