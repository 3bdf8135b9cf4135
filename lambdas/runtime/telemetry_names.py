"""The names of our metrics, and what each is broken down by: emitted by the functions, asked for by the dashboard and
the alarms. A test holds the three together."""

from collections.abc import Mapping
from enum import StrEnum

NAMESPACE = "Hangdump"
SERVICE = "hangdump"
# On every datum, and beside it one dimension of BROKEN_DOWN_BY at most.
SERVICE_DIMENSION = "service"


class Metric(StrEnum):
    """In the namespace Hangdump, with the dimension `service`."""

    INCIDENTS = "Incidents"
    REFUSALS = "Refusals"
    INTERRUPTS = "DiagnosticInterrupts"
    CRASHES = "Crashes"
    INVALID_ALARMS = "InvalidAlarms"
    VMCORE_BYTES = "VmcoreBytes"
    PHASE_SECONDS = "PhaseSeconds"
    FLEET_INSTANCES = "FleetInstances"
    SWEEPS = "Sweeps"
    SWEEP_FINDINGS = "SweepFindings"
    SWEEP_FAILURES = "SweepFailures"
    UNEXPECTED_ERRORS = "UnexpectedErrors"


# What is counted is there as a whole and once more by this dimension; seconds of phases and instances of a state are
# there by it alone. Each value of a dimension costs like a metric of its own:
# never an instance or an incident, those are in the logs.
BROKEN_DOWN_BY: Mapping[Metric, str] = {
    Metric.INCIDENTS: "verdict",
    Metric.REFUSALS: "reason",
    Metric.INTERRUPTS: "outcome",
    Metric.CRASHES: "crashClass",
    Metric.PHASE_SECONDS: "phase",
    Metric.FLEET_INSTANCES: "readiness",
    Metric.SWEEP_FINDINGS: "kind",
    Metric.UNEXPECTED_ERRORS: "function",
}


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
