"""kdump in the guest."""

from typing import Literal

from pydantic import Field

from infra.knobs.base import Knobs
from infra.panic_sysctls import PanicSysctls
from lambdas.document_patterns import CORE_COLLECTOR, CRASHKERNEL


class KdumpKnobs(Knobs):
    """What configure_kdump is told."""

    crashkernel: str = Field("auto", pattern=CRASHKERNEL, description="auto (by memory) or a kernel crashkernel= value")
    core_collector: str = Field(
        "makedumpfile -l --message-level 7",
        pattern=CORE_COLLECTOR,
        description="makedumpfile and its options, without the dump level",
    )
    dump_level: int = Field(
        31, ge=0, le=31, description="makedumpfile -d: which pages stay out (31 = all but the kernel's)"
    )
    final_action: Literal["reboot", "poweroff"] = Field(
        "reboot", description="what the crash kernel does after the dump"
    )
    panic_sysctls: PanicSysctls = Field(
        default=PanicSysctls.model_validate({}), description="kernel switches, see PanicSysctls"
    )
    allow_reboot: bool = Field(False, description="may ProvisionDumpVolume reboot an instance whose owner did not ask")
