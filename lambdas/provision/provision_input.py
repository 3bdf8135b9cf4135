"""The input of ProvisionDumpVolume, and the documents' parameters, which come from it and from the settings."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from lambdas.runtime.document_settings import DocumentSettings, InstanceSettings
from lambdas.runtime.execution_input import ExecutionInput

# On by default where EC2 sends no interrupt: there the kernel itself must detect that it hangs.
# Not hung_task_panic: a task is blocked for minutes when a volume pauses, and then goes on.
IN_GUEST_TRIGGERS = ("softlockup_panic", "panic_on_oops", "panic_on_rcu_stall")

# Kernels of arm64 have no such sysctl, and configure_kdump refuses to set what a kernel lacks.
X86_SYSCTLS = ("hardlockup_panic", "panic_on_io_nmi", "panic_on_unrecovered_nmi", "panic_on_stackoverflow")

Parameters = dict[str, list[str]]


class ProvisionInput(InstanceSettings, ExecutionInput):
    """The input of an execution."""

    reboot: bool | None = None
    # Forget what was remembered of this instance: overrides.py.
    use_stack_settings: bool = False
    # From whoever listed the alarms of many instances at once; None: they are looked up.
    conflicting_alarms: Annotated[list[str], Field(max_length=100)] | None = None


@dataclass(frozen=True)
class DocumentParameters:
    """Parameters for SendCommand: every value is a list of one string. The state machine adds `volumeId`."""

    measure: Parameters
    prepare: Parameters
    configure: Parameters
    check: Parameters


def without_x86_sysctls(settings: DocumentSettings) -> DocumentSettings:
    """What the fleet's settings mean on arm64."""
    sysctls = settings.panic_sysctls.model_dump(exclude_unset=True)
    kept = {name: value for name, value in sysctls.items() if name not in X86_SYSCTLS}
    values = settings.document_settings().model_dump(by_alias=True, exclude_unset=True)
    return DocumentSettings.model_validate(values | {"panicSysctls": kept})


def document_parameters(settings: DocumentSettings, *, reboot: bool, takes_interrupt: bool) -> DocumentParameters:
    """The documents' parameters for these settings."""
    if not takes_interrupt:
        settings = _with_in_guest_triggers(settings)
    values = settings.model_dump(by_alias=True, exclude={"panic_sysctls"})
    values |= {"reboot": reboot} | settings.panic_sysctls.model_dump()
    configure = {name: [_as_text(value)] for name, value in values.items()}
    return DocumentParameters(
        measure={"dumpLevel": configure["dumpLevel"]},
        prepare={name: configure[name] for name in ("fileSystem", "mountPoint")},
        configure=configure,
        check={name: configure[name] for name in ("mountPoint", "finalAction")},
    )


def _as_text(value: str | int | bool | None) -> str:
    """A bool as true or false, None as keep."""
    if isinstance(value, bool):
        return str(value).lower()
    return "keep" if value is None else str(value)


def _with_in_guest_triggers(settings: DocumentSettings) -> DocumentSettings:
    """Turns on the triggers that are not set. unknown_nmi_panic is off: arm64 kernels do not have it."""
    sysctls = dict.fromkeys(IN_GUEST_TRIGGERS, 1) | settings.panic_sysctls.model_dump(exclude_unset=True)
    return settings.overridden_by(DocumentSettings.model_validate({"panicSysctls": sysctls | {"unknown_nmi_panic": 0}}))
