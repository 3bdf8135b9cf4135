"""What every judgement has before it: what was found, the time, the policy, and the questions that all of them ask."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from lambdas.incident.record import SAFE_VERDICTS, State
from lambdas.sweep.found import NO_LONGER_THERE, Found, IncidentFacts


class Action(StrEnum):
    """What is done about a finding."""

    REPORT = "report"
    DELETE_ALARM = "delete-alarm"
    ABORT_UPLOAD = "abort-upload"
    TERMINATE_COLLECTOR = "terminate-collector"
    DELETE_SNAPSHOT = "delete-snapshot"
    DELETE_COPY = "delete-copy"
    UNMARK = "remove-ready-tag"
    COLLECT = "start-collection"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How old something must be, and what the deployment lets a sweep do."""

    # Younger than this it may belong to something that is still beginning, or that AWS does not show everywhere yet.
    minimum_age: timedelta = timedelta(hours=1)
    # An upload may be resumed as long as this; the vmcore is on its instance in any case.
    abandoned_after: timedelta = timedelta(days=3)
    # What a rescue of an incident that never ended may need.
    rescue_needs: timedelta = timedelta(hours=24)
    unmarks: bool = True
    collects: bool = False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that somebody should know; `subject` is what an action acts on."""

    kind: str
    subject: str
    detail: str
    next_step: str = ""
    instance_id: str = ""
    incident_id: str = ""
    action: Action = Action.REPORT
    # For ABORT_UPLOAD, whose subject is the key.
    upload_id: str = ""


@dataclass(frozen=True)
class Case:
    """Unknown is never taken for "no": what was not looked up is neither gone nor over nor safe."""

    found: Found
    now: datetime
    policy: Policy

    @cached_property
    def dump_volumes(self) -> frozenset[str]:
        """The ids of those that were seen; copies are none."""
        return frozenset(volume.volume_id for volume in self.found.volumes if not volume.rescue)

    @cached_property
    def busy(self) -> frozenset[str]:
        """Instances on whose incident an execution works now."""
        return frozenset(each.instance_id for each in self.found.incidents.values() if each and each.is_running)

    def incident(self, incident_id: str) -> IncidentFacts | None:
        """None when there is no record, or nobody looked."""
        return self.found.incidents.get(incident_id)

    def is_older(self, at: datetime, age: timedelta) -> bool:
        """Strictly."""
        return self.now - at > age

    def is_settled(self, at: datetime) -> bool:
        """Old enough to be no longer beginning."""
        return self.is_older(at, self.policy.minimum_age)

    def is_gone(self, instance_id: str) -> bool:
        """EC2 was asked, and it is terminated or unknown."""
        return self.found.instances.get(instance_id) in NO_LONGER_THERE


def is_over(incident: IncidentFacts | None) -> bool:
    """Concluded, and nobody works on it once more."""
    return incident is not None and incident.state == State.CONCLUDED and not incident.is_running


def is_safe(incident: IncidentFacts | None) -> bool:
    """The vmcore is in S3, verified."""
    return incident is not None and incident.verdict in SAFE_VERDICTS
