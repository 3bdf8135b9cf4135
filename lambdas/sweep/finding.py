"""What a sweep says of one thing, and what it may do about it. Owns the words of the report, not the decision."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


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
