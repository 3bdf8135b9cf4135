"""Which troubles make a kernel panic, hence dump: the setting `panicSysctls`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Switch = Literal[0, 1]


class PanicSysctls(BaseModel):
    """Kernel switches written to /etc/sysctl.d on the instances: which troubles panic, hence dump."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    unknown_nmi_panic: Switch = Field(1, description="panic on an NMI of unknown origin: what the interrupt needs")
    panic_on_oops: Switch = Field(1, description="panic on a kernel oops")
    hardlockup_panic: Switch = Field(0, description="panic when a CPU stops taking interrupts")
    softlockup_panic: Switch = Field(0, description="panic when a CPU stays in the kernel without scheduling")
    hung_task_panic: Switch = Field(0, description="panic when a task stays uninterruptible for long")
    panic_on_rcu_stall: Switch = Field(0, description="panic on an RCU stall")
    panic_on_io_nmi: Switch = Field(0, description="panic on an NMI caused by an I/O error")
    panic_on_unrecovered_nmi: Switch = Field(0, description="panic on a parity or unknown hardware NMI")
    panic_on_stackoverflow: Switch = Field(0, description="panic when the kernel stack is about to overflow")
    panic_on_warn: Switch = Field(0, description="panic on every kernel warning")
    kernel_panic: int = Field(
        0, ge=0, le=9999, description="seconds until a reboot after a panic without dump; 0 = never"
    )
