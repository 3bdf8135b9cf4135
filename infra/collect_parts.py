"""What CollectVmcore and its functions are put together from."""

from dataclasses import dataclass

from infra.functions import Shared
from infra.incidents import Incidents
from infra.run_document import DocumentRunner
from infra.vmcore_bucket import VmcoreBucket


@dataclass(frozen=True)
class Parts:
    """What the workflow is put together from."""

    incidents: Incidents
    vmcores: VmcoreBucket
    runner: DocumentRunner
    shared: Shared
