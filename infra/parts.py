"""What CollectVmcore and its functions are put together from."""

from dataclasses import dataclass

from infra.foundation.functions import Shared
from infra.foundation.incidents import Incidents
from infra.foundation.vmcore_bucket import VmcoreBucket
from infra.respond.standby import ReturnFromStandby
from infra.states.run_document import DocumentRunner

# Where open_incident left the two, for every state behind it.
INSTANCE = "$.facts.incident.instanceId"
INCIDENT = "$.facts.incident.incidentId"


@dataclass(frozen=True)
class Parts:
    """What the workflow is put together from."""

    incidents: Incidents
    vmcores: VmcoreBucket
    runner: DocumentRunner
    standby: ReturnFromStandby
    shared: Shared
