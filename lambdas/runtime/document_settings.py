"""The settings that the documents apply on an instance: names, defaults and allowed values, declared only here.

The stack's settings inherit them; a profile and an execution's input override them. A test compares them with the
parameters in ssm_documents/*/document.yaml.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from lambdas.runtime.stack_parameter import DumpVolumePlace, DumpVolumeSizing

MOUNT_POINT = r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){1,8}$"
_SIZE = "[1-9][0-9]{0,5}[KMGT]"
_RANGE = f"(0|{_SIZE})-({_SIZE})?:{_SIZE}"
# auto · 256M · 256M@16M · 512M,high · 512M,high 72M,low · 1G-4G:192M,4G-:256M
CRASHKERNEL = rf"^(auto|{_SIZE}(@{_SIZE})?|{_SIZE},high( {_SIZE},low)?|{_RANGE}(,{_RANGE}){{0,9}}(@{_SIZE})?)$"
CORE_COLLECTOR = r"^makedumpfile( [A-Za-z0-9=._,:-]{1,64}){0,16}$"

# The version to run. Without one Systems Manager runs the default version, and CloudFormation's updates do not always
# make the newest one the default.
LATEST_VERSION = "$LATEST"

Switch = Literal[0, 1]


class PanicSysctls(BaseModel):
    """Sysctls written to /etc/sysctl.d on the instances. They say which faults panic, and so dump."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    unknown_nmi_panic: Switch = Field(
        1, description="panic on an NMI of unknown origin; the diagnostic interrupt needs it"
    )
    panic_on_oops: Switch = Field(1, description="panic on a kernel oops")
    hardlockup_panic: Switch = Field(0, description="panic when a CPU stops taking interrupts")
    softlockup_panic: Switch = Field(0, description="panic when a CPU stays in the kernel without scheduling")
    hung_task_panic: Switch = Field(0, description="panic when a task is blocked (state D) for long")
    panic_on_rcu_stall: Switch = Field(0, description="panic on an RCU stall")
    panic_on_io_nmi: Switch = Field(0, description="panic on an NMI caused by an I/O error")
    panic_on_unrecovered_nmi: Switch = Field(0, description="panic on a parity or unknown hardware NMI")
    panic_on_stackoverflow: Switch = Field(0, description="panic when the kernel stack is about to overflow")
    panic_on_warn: Switch = Field(0, description="panic on every kernel warning")
    kernel_panic: int | None = Field(
        None,
        ge=0,
        le=9999,
        description="seconds until a reboot after a panic without dump; 0 = never, null = what the host has",
    )


class DocumentSettings(BaseModel):
    """The parameters of prepare_dump_volume, configure_kdump and check_kdump; camelCase outside Python."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)

    file_system: Literal["xfs", "ext4"] = Field("xfs", description="file system of the dump volume")
    mount_point: str = Field("/var/crash", pattern=MOUNT_POINT, description="mount point of the dump volume")
    crashkernel: str = Field(
        "auto", pattern=CRASHKERNEL, description="auto (depends on the memory) or a value of the kernel's crashkernel="
    )
    core_collector: str = Field(
        "makedumpfile -l --message-level 7",
        pattern=CORE_COLLECTOR,
        description="makedumpfile with its options, without the dump level",
    )
    dump_level: int = Field(
        31, ge=0, le=31, description="makedumpfile -d: pages to leave out (31 = all but the kernel's)"
    )
    final_action: Literal["reboot", "poweroff"] = Field(
        "reboot", description="what the crash kernel does after the dump"
    )
    guest_watchdog: bool = Field(
        default=False, description="whether a watchdog in the guest panics when systemd is starved or dead (softdog)"
    )
    panic_sysctls: PanicSysctls = Field(
        default=PanicSysctls.model_validate({}), description="the faults that panic: see panicSysctls below"
    )

    def document_settings(self) -> "DocumentSettings":
        """Only these settings, without those of a subclass."""
        return DocumentSettings.model_validate(
            self.model_dump(by_alias=True, exclude_unset=True, include=set(DocumentSettings.model_fields))
        )

    def overridden_by(self, given: "DocumentSettings") -> "DocumentSettings":
        """These settings, overridden by those set in `given`; sysctls one by one."""
        own, other = (each.document_settings().model_dump(by_alias=True, exclude_unset=True) for each in (self, given))
        sysctls = {**own.get("panicSysctls", {}), **other.get("panicSysctls", {})}
        return DocumentSettings.model_validate({**own, **other, "panicSysctls": sysctls})


class InstanceSettings(DocumentSettings):
    """What may differ from the stack's settings for some instances, by a profile, or for one, by an execution's input.

    The stack's settings apply to what is not set.
    """

    # gp3's own limit
    size_gib: Annotated[int, Field(ge=1, le=65_536)] | None = Field(
        None, description="size of a new dump volume, GiB, whatever its sizing says"
    )
    dump_volume_sizing: DumpVolumeSizing | None = Field(None, description="as the stack's")
    dump_size_factor: Annotated[float, Field(gt=0, le=100)] | None = Field(None, description="as the stack's")
    dump_volume: DumpVolumePlace | None = Field(None, description="as the stack's")
