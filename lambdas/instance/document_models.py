"""The results of the documents as models. A host can print anything: only what fits these is believed."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from lambdas.runtime.errors import UnexpectedResult
from lambdas.runtime.visible_text import one_line

# SHA-256 in base64
DIGEST = "[A-Za-z0-9+/]{43}="
LONGEST_MESSAGE = 500
# The most that a result may take of an execution's state, which may have 256 KiB: a provisioning keeps three.
_LARGEST_RESULT_BYTES = 16 * 1024
_MOST_PROBLEMS = 3

Line = Annotated[str, AfterValidator(lambda text: one_line(text, LONGEST_MESSAGE))]
# 6.1.0-28-cloud-amd64: it becomes a tag
Kernel = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}$")]
# Of the kdump configuration; it becomes a tag
ConfigId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
# As the patterns of upload_vmcore's parameters allow
Bytes = Annotated[int, Field(ge=0, lt=10**15)]
VmcorePath = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_+:@=,-][A-Za-z0-9._+:@=,-]{0,127}){1,12}$")]
# The last second that datetime knows
Epoch = Annotated[int, Field(ge=0, le=253_402_300_799)]


class FromInstance(BaseModel):
    """Base class: camelCase and strict types. Ignores keys that a newer document adds."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="ignore", strict=True)


class Probed(FromInstance):
    """The result of probe_instance."""

    boot_id: Line = ""
    booted_at: Line = ""
    kernel: Line = ""


class Measured(FromInstance):
    """The result of measure_dump: of a dump now, before its compression."""

    expected_dump_bytes: Bytes
    # makedumpfile counted pages · estimated from /proc/meminfo
    method: Literal["makedumpfile", "meminfo"]


class Prepared(FromInstance):
    """The result of prepare_dump_volume."""

    status: Literal["prepared", "unchanged"]
    device: Line = ""
    partition: Line = ""
    uuid: Line = ""
    file_system: Line = ""
    mount_point: Line = ""
    size_bytes: Bytes = 0
    free_bytes: Bytes = 0


class Parked(FromInstance):
    """The result of `park_dump_volume park`."""

    status: Literal["parked", "unchanged"]
    family: Line = ""
    mount_point: Line = ""
    uuid: Line = ""
    file_system: Line = ""
    size_bytes: Bytes = 0
    free_bytes: Bytes = 0
    # Whether the host has seen that nothing is on the volume, and has unmounted it.
    volume_empty: bool = False
    boot_id: Line = ""
    kernel: Kernel
    # As of check_kdump: where the wait is in kdump's own configuration, that is another one now.
    config_id: ConfigId


class MountedAgain(FromInstance):
    """The result of `park_dump_volume mount`."""

    status: Literal["mounted", "unchanged", "not-parked"]
    volume_id: Line = ""
    mount_point: Line = ""


class Configured(FromInstance):
    """The result of configure_kdump."""

    status: Literal["configured", "unchanged", "reboot-required"]
    family: Line = ""
    kernel: Line = ""
    crashkernel: Line = ""
    changes: Annotated[list[Line], Field(max_length=100)] = Field(default_factory=list)


class KdumpFinding(FromInstance):
    """One finding of check_kdump."""

    code: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    severity: Literal["error", "note"]
    observed: Line = ""
    remedy: Line = ""


class KdumpCheck(FromInstance):
    """The result of check_kdump."""

    ready: bool
    findings: Annotated[list[KdumpFinding], Field(max_length=64)]
    kernel: Kernel
    config_id: ConfigId
    family: Line = ""
    boot_id: Line = ""
    booted_at: Line = ""
    # None: the document is of an older release, which is being replaced.
    crash_kernel_loaded: bool | None = None
    crashkernel_bytes: Bytes = 0
    memory_bytes: Bytes = 0
    free_bytes: Bytes = 0
    # Of a dump now, before its compression, as makedumpfile counts pages; 0: it cannot tell.
    expected_dump_bytes: Bytes = 0
    # Whether the dump volume is attached only after a crash.
    parked: bool = False


class LeftInPlace(FromInstance):
    """What somebody changed after configure_kdump, so that unconfigure_kdump left it."""

    file: Line = ""
    key: Line = ""
    found: Line = ""
    ours: Line = ""


class Unconfigured(FromInstance):
    """The result of unconfigure_kdump."""

    status: Literal["unconfigured", "unchanged"]
    kernel: Line = ""
    # off · owner: kdump was there before Hangdump, and runs as its owner configured it
    kdump: Literal["off", "owner"] = "off"
    changes: Annotated[list[Line], Field(max_length=100)] = Field(default_factory=list)
    left: Annotated[list[LeftInPlace], Field(max_length=64)] = Field(default_factory=list)
    bytes_given_back: Bytes = 0
    # Whether the host has seen that nothing is on the dump volume; if not, what is on it.
    volume_empty: bool
    files: Annotated[list[Line], Field(max_length=64)] = Field(default_factory=list)


class MountedCopy(FromInstance):
    """The result of mount_dump_copy."""

    status: Literal["mounted"]
    device: Line = ""
    file_system: Line = ""
    journal: Line = ""
    mount_point: Line = ""
    # Whether the rescue instance has seen that nothing is on the copy; if not, what is on it: the first 20 files.
    volume_empty: bool = False
    file_count: Bytes = 0
    files: Annotated[list[Line], Field(max_length=64)] = Field(default_factory=list)


class Vmcore(FromInstance):
    """The dump's file; modified_epoch and size_bytes show whether it has changed."""

    path: VmcorePath
    size_bytes: Bytes
    modified_epoch: Epoch = 0
    # A file system is mounted over the directory that holds it.
    beneath_mount: bool = False


class Dmesg(FromInstance):
    """The kernel's log beside the dump."""

    path: Line
    size_bytes: Bytes
    digest: Annotated[str, Field(pattern=f"^{DIGEST}$")]


class Found(FromInstance):
    """The result of `upload_vmcore find`."""

    status: Literal["complete", "incomplete"]
    vmcore: Vmcore | None = None
    dmesg: Dmesg | None = None
    memory_bytes: Bytes = 0
    boot_id: Line = ""
    booted_at: Line = ""
    kernel: Line = ""

    @property
    def complete_vmcore(self) -> Vmcore | None:
        """The dump if it is complete; of an incomplete one only the log is sent."""
        return self.vmcore if self.status == "complete" and self.vmcore and self.vmcore.size_bytes else None


class Transferred(FromInstance):
    """The result of `upload_vmcore upload` and `remove`. S3 proves the upload; these figures are for people."""

    status: Line = ""
    uploaded_parts: Bytes = 0
    uploaded_bytes: Bytes = 0
    described_parts: Bytes = 0
    freed_bytes: Bytes = 0
    seconds: Bytes = 0


class Analysed(FromInstance):
    """The result of analyze_vmcore."""

    status: Literal["analysed"]
    analysis_bytes: Bytes = 0
    seconds: Bytes = 0


class Hanging(FromInstance):
    """The result of hang_instance, which hangs the host some seconds later."""

    status: Literal["hanging"]
    way: Line = ""


# By document; those of upload_vmcore and park_dump_volume by action too.
MODELS: dict[str, type[FromInstance]] = {
    "probe_instance": Probed,
    "measure_dump": Measured,
    "prepare_dump_volume": Prepared,
    "park_dump_volume park": Parked,
    "park_dump_volume mount": MountedAgain,
    "configure_kdump": Configured,
    "check_kdump": KdumpCheck,
    "unconfigure_kdump": Unconfigured,
    "mount_dump_copy": MountedCopy,
    "upload_vmcore find": Found,
    "upload_vmcore upload": Transferred,
    "upload_vmcore remove": Transferred,
    "analyze_vmcore": Analysed,
    "hang_instance": Hanging,
}
# What an execution names that began before an upgrade: it goes on with the definition of the release before.
_WITHOUT_ACTION = "upload_vmcore"
Model = TypeVar("Model", bound=FromInstance)


def model_of(document: str, result: Mapping[str, Any]) -> type[FromInstance]:
    """The model of this document's result. Raises KeyError."""
    if document == _WITHOUT_ACTION:
        return Found if result.get("status") in ("complete", "incomplete") else Transferred
    return MODELS[document]


def read_as(model: type[Model], result: Any, *, source: str) -> Model:
    """Raises UnexpectedResult, which names the wrong fields but not their values; `source` says who printed it."""
    try:
        read = model.model_validate(result)
    except ValidationError as error:
        raise _unexpected(
            source, [_explain(each) for each in error.errors(include_url=False, include_input=False)]
        ) from None
    if len(read.model_dump_json(by_alias=True).encode()) > _LARGEST_RESULT_BYTES:
        raise _unexpected(source, [f"it has more than {_LARGEST_RESULT_BYTES} bytes"])
    return read


def _explain(problem: Any) -> str:
    path = ".".join(str(step) for step in problem["loc"]) or "result"
    return f"{path}: {problem['msg']}"


def _unexpected(source: str, problems: Sequence[str]) -> UnexpectedResult:
    said = "; ".join(one_line(each, 200) for each in problems[:_MOST_PROBLEMS])
    more = f" (and {len(problems) - _MOST_PROBLEMS} more)" if len(problems) > _MOST_PROBLEMS else ""
    return UnexpectedResult(f"{source} printed an unexpected result: {said}{more}.", UnexpectedResult.next_step)
