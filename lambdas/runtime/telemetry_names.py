"""The names and dimensions of the metrics. The functions emit them; the dashboard and the alarms read them; a test
compares the three."""

from collections.abc import Mapping
from enum import StrEnum

NAMESPACE = "Hangdump"
SERVICE = "hangdump"
# On every datum, with at most one dimension of BROKEN_DOWN_BY.
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


# Counts are emitted twice: in all, and by this dimension. PhaseSeconds and FleetInstances are emitted only by it.
# CloudWatch bills each value of a dimension as a metric, so no dimension is an instance or an incident: see the logs.
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
    """A function puts the first three on every line if its event has them, and each of the others on one line."""

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
    """The fields of Powertools that our queries read."""

    LEVEL = "level"
    MESSAGE = "message"
    FUNCTION_NAME = "function_name"
