"""The input of ProvisionDumpVolume, and the parameters that the documents get from it and from the settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lambdas.runtime.environment import DocumentDefaults
from lambdas.runtime.execution_input import ExecutionInput

MOUNT_POINT = r"^(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){1,8}$"
_SIZE = "[1-9][0-9]{0,5}[KMGT]"
_RANGE = f"(0|{_SIZE})-({_SIZE})?:{_SIZE}"
# auto · 256M · 256M@16M · 512M,high · 512M,high 72M,low · 1G-4G:192M,4G-:256M
CRASHKERNEL = rf"^(auto|{_SIZE}(@{_SIZE})?|{_SIZE},high( {_SIZE},low)?|{_RANGE}(,{_RANGE}){{0,9}}(@{_SIZE})?)$"
CORE_COLLECTOR = r"^makedumpfile( [A-Za-z0-9=._,:-]{1,64}){0,16}$"
_Switch = Literal[0, 1]
# gp3's own limit
_LARGEST_VOLUME_GIB = 65_536

# On by default where no interrupt arrives: there the kernel has to find out by itself that it hangs.
IN_GUEST_TRIGGERS = ("softlockup_panic", "hung_task_panic", "panic_on_oops", "panic_on_rcu_stall")

Parameters = dict[str, list[str]]


class PanicSysctls(BaseModel):
    """Sysctls, by their own names, that the input sets otherwise than the stack's settings do."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    unknown_nmi_panic: _Switch | None = None
    panic_on_oops: _Switch | None = None
    hardlockup_panic: _Switch | None = None
    softlockup_panic: _Switch | None = None
    hung_task_panic: _Switch | None = None
    panic_on_rcu_stall: _Switch | None = None
    panic_on_io_nmi: _Switch | None = None
    panic_on_unrecovered_nmi: _Switch | None = None
    panic_on_stackoverflow: _Switch | None = None
    panic_on_warn: _Switch | None = None
    # seconds until the reboot after a panic that could not dump; 0: off
    kernel_panic: Annotated[int, Field(ge=0, le=9999)] | None = None


class ProvisionInput(ExecutionInput):
    """What an execution may be given; everything but instanceId has a default in the settings."""

    reboot: bool | None = None
    size_gib: Annotated[int, Field(ge=1, le=_LARGEST_VOLUME_GIB)] | None = None
    dump_size_factor: Annotated[float, Field(gt=0, le=100)] | None = None
    file_system: Literal["xfs", "ext4"] | None = None
    mount_point: Annotated[str, Field(pattern=MOUNT_POINT)] | None = None
    crashkernel: Annotated[str, Field(pattern=CRASHKERNEL)] | None = None
    core_collector: Annotated[str, Field(pattern=CORE_COLLECTOR)] | None = None
    dump_level: Annotated[int, Field(ge=0, le=31)] | None = None
    final_action: Literal["reboot", "poweroff"] | None = None
    panic_sysctls: PanicSysctls = PanicSysctls()


@dataclass(frozen=True)
class DocumentParameters:
    """For SendCommand: every value a list of one string. `volumeId` is the state machine's to add."""

    prepare: Parameters
    configure: Parameters
    check: Parameters


def document_parameters(
    given: ProvisionInput, defaults: DocumentDefaults, *, reboot: bool, takes_interrupt: bool
) -> DocumentParameters:
    """The input where it says something, else the settings."""
    mount_point = given.mount_point or defaults.mount_point
    file_system = given.file_system or defaults.file_system
    final_action = given.final_action or defaults.final_action
    values = {
        "mountPoint": mount_point,
        "fileSystem": file_system,
        "crashkernel": given.crashkernel or defaults.crashkernel,
        "coreCollector": given.core_collector or defaults.core_collector,
        "dumpLevel": defaults.dump_level if given.dump_level is None else given.dump_level,
        "finalAction": final_action,
        "reboot": "true" if reboot else "false",
    } | _panic_sysctls(given, defaults, takes_interrupt=takes_interrupt)
    return DocumentParameters(
        prepare={"fileSystem": [file_system], "mountPoint": [mount_point]},
        configure={name: [str(value)] for name, value in values.items()},
        check={"mountPoint": [mount_point], "finalAction": [final_action]},
    )


def _panic_sysctls(given: ProvisionInput, defaults: DocumentDefaults, *, takes_interrupt: bool) -> dict[str, int]:
    sysctls = dict(defaults.panic_sysctls)
    if not takes_interrupt:
        chosen = {name: value for name, value in sysctls.items() if name in defaults.chosen_panic_sysctls}
        # Even if it was chosen for the fleet: arm64 kernels do not have it.
        sysctls |= dict.fromkeys(IN_GUEST_TRIGGERS, 1) | chosen | {"unknown_nmi_panic": 0}
    return sysctls | given.panic_sysctls.model_dump(exclude_none=True)
