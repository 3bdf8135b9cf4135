"""The constructs that every act of the stack is built from."""

from dataclasses import dataclass

from infra.foundation.functions import Function, FunctionDefaults
from infra.foundation.incidents import Incidents
from infra.foundation.vmcore_bucket import VmcoreBucket
from infra.states.run_document import DocumentRunner

# The paths to the ids in the state; open_incident writes them.
INSTANCE = "$.facts.incident.instanceId"
INCIDENT = "$.facts.incident.incidentId"


@dataclass(frozen=True)
class Parts:
    """The table, bucket, documents and functions that several acts share."""

    incidents: Incidents
    vmcores: VmcoreBucket
    runner: DocumentRunner
    return_from_standby: Function
    shared: FunctionDefaults
