"""The input of every judgement: what was found, the time and the policy, with the predicates that judgements share."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from lambdas.incident.record import SAFE_VERDICTS, State
from lambdas.sweep.found import NO_LONGER_THERE, Found, IncidentFacts, Volume


class Action(StrEnum):
    """The action for a finding."""

    REPORT = "report"
    DELETE_ALARM = "delete-alarm"
    ABORT_UPLOAD = "abort-upload"
    TERMINATE = "terminate-collector"
    DELETE_SNAPSHOT = "delete-snapshot"
    DELETE_PARKED = "delete-parked-volume"
    DELETE_COPY = "delete-copy"
    UNMARK = "remove-ready-tag"
    COLLECT = "start-collection"
    RESCUE = "start-rescue"
    DRILL = "start-drill"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The ages that a sweep judges by, and the actions that the deployment allows it."""

    # A younger resource may belong to something that is just starting, or that AWS does not show everywhere yet.
    minimum_age: timedelta = timedelta(hours=1)
    # How long an upload may be resumed. The vmcore is still on its instance in any case.
    abandoned_after: timedelta = timedelta(days=3)
    # How long a rescue or an analysis may take.
    maker_needs: timedelta = timedelta(hours=24)
    unmarks: bool = True
    collects: bool = False
    # Rescues of orphaned dump volumes at a time; 0: such volumes are only reported.
    orphan_rescues: int = 0
    # Drills that one sweep begins, and how long one stands for its combination.
    drills: int = 0
    drill_every: timedelta = timedelta(days=30)
    # Between two sweeps.
    interval: timedelta = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to report; `subject` is the resource that the action acts on."""

    kind: str
    subject: str
    detail: str
    next_step: str = ""
    instance_id: str = ""
    incident_id: str = ""
    action: Action = Action.REPORT
    # For ABORT_UPLOAD, whose subject is the key.
    upload_id: str = ""
    # For RESCUE: the group of the volume's instance, and the number of the attempt.
    group: str = ""
    attempt: int = 0
    # For DRILL: the key of the proof, and when a sweep last began a drill for it.
    proof: str = ""
    begun_at: str = ""
    # Nobody has to do anything about it: it is in the report and the metrics, and no reason for a notification.
    is_quiet: bool = False


@dataclass(frozen=True)
class Case:
    """Unknown is never taken for "no": a resource that was not looked up counts neither as gone nor as safe."""

    found: Found
    now: datetime
    policy: Policy

    @cached_property
    def dump_volumes(self) -> frozenset[str]:
        """The ids of the dump volumes that were found, without those of short-lived instances."""
        return frozenset(volume.volume_id for volume in self.found.volumes if not volume.maker)

    @cached_property
    def busy(self) -> frozenset[str]:
        """The instances whose incident has a running execution."""
        return frozenset(each.instance_id for each in self.found.incidents.values() if each and each.is_running)

    @property
    def are_incidents_known(self) -> bool:
        """Whether an incident that was not found does not exist."""
        return self.found.are_incidents_known

    def is_orphaned(self, volume: Volume) -> bool:
        """Whether the dump volume has outlived its instance; not so for one that may be just being created."""
        return self.is_settled(volume.created_at) and self.is_gone(volume.instance_id)

    def incident(self, incident_id: str) -> IncidentFacts | None:
        """None when there is no record, or it was not read."""
        return self.found.incidents.get(incident_id)

    def is_older(self, at: datetime, age: timedelta) -> bool:
        """Whether more time than `age` has passed since `at`."""
        return self.now - at > age

    def is_settled(self, at: datetime) -> bool:
        """Whether it is older than the minimum age."""
        return self.is_older(at, self.policy.minimum_age)

    def is_gone(self, instance_id: str) -> bool:
        """Whether EC2 says that the instance is terminated or unknown."""
        return self.found.instances.get(instance_id) in NO_LONGER_THERE


def is_over(incident: IncidentFacts | None) -> bool:
    """Whether the incident is concluded and no execution works on it again."""
    return incident is not None and incident.state == State.CONCLUDED and not incident.is_running


def is_safe(incident: IncidentFacts | None) -> bool:
    """Whether the verified vmcore is in S3."""
    return incident is not None and incident.verdict in SAFE_VERDICTS
