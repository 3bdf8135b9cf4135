"""The fields that our log lines have beside Powertools' own: written by the functions, asked for by the saved queries.
A test holds both together."""

from enum import StrEnum


class LogField(StrEnum):
    """Every line of a function has the first three as far as its event says them; the others are on one line each."""

    INCIDENT_ID = "incident_id"
    INSTANCE_ID = "instance_id"
    EXECUTION = "execution"
    DECISION = "decision"
    REASON = "reason"
    VERDICT = "verdict"
    OUTCOME = "outcome"
    PHASE = "phase"
    DURATIONS = "durations"
    ERROR = "error"
    FINDING = "finding"
    SUBJECT = "subject"


class Line(StrEnum):
    """What Powertools writes on every line, as far as we ask for it."""

    LEVEL = "level"
    MESSAGE = "message"
    FUNCTION_NAME = "function_name"
