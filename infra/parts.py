"""What every act of the stack is built from."""

from dataclasses import dataclass

from infra.foundation.functions import Function, FunctionDefaults
from infra.foundation.incidents import Incidents
from infra.foundation.vmcore_bucket import VmcoreBucket
from infra.states.run_document import DocumentRunner

# Where open_incident left the two, for every state behind it.
INSTANCE = "$.facts.incident.instanceId"
INCIDENT = "$.facts.incident.incidentId"


@dataclass(frozen=True)
class Parts:
    """Table, bucket, documents and functions that several acts share."""

    incidents: Incidents
    vmcores: VmcoreBucket
    runner: DocumentRunner
    return_from_standby: Function
    shared: FunctionDefaults
