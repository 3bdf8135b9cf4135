"""Opens a dump without symbols: finds its kernel, checks that it is complete, and reads the kernel's log.

A dump opens if its format, its VMCOREINFO and its last page can be read. If the kernel's log cannot be read, that is
only noted as a problem: kernels differ, and the dump may still be good.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lambdas.runtime.errors import VmcoreUnreadable
from lambdas.runtime.visible_text import one_line
from lambdas.vmcore import flattened
from lambdas.vmcore.budget import BudgetSpent
from lambdas.vmcore.bytes_by_range import BytesByRange
from lambdas.vmcore.elf_core import ElfCore
from lambdas.vmcore.flattened import Flattened, PieceNotFound
from lambdas.vmcore.kdump_compressed import KdumpCompressed
from lambdas.vmcore.kernel_log import read_kernel_log
from lambdas.vmcore.kernel_memory import KernelMemory, MemoryUnreadable
from lambdas.vmcore.vmcoreinfo import Vmcoreinfo

# [   63.512400] Kernel panic - not syncing: NMI: Not continuing
_PANIC = re.compile(r"Kernel panic - not syncing: .*")
_LONGEST_LINE = 300
_LONGEST_PROBLEM = 500
_LONGEST_MACHINE = 65
# pr_pid of struct elf_prstatus, the same on x86_64 and arm64.
_PID, _PID_AT = struct.Struct("<i"), 32

Read = TypeVar("Read")


@dataclass(frozen=True, kw_only=True)
class OpenedDump:
    """The facts that a dump holds about itself."""

    format: str
    architecture: str
    kernel_release: str
    # "" before Linux 5.9.
    build_id: str
    kaslr_offset: int | None
    has_kallsyms: bool
    # CPUs that saved their registers at the panic, and those of them that were idle.
    cpus: int
    idle_cpus: int
    # "": it could not be read.
    log: str
    problems: tuple[str, ...]

    @property
    def panic_line(self) -> str:
        """The kernel's last "Kernel panic" line, or ""."""
        found = _PANIC.findall(self.log)
        return one_line(found[-1], _LONGEST_LINE) if found else ""


def open_dump(file: BytesByRange) -> OpenedDump:
    """Raises VmcoreUnreadable if the dump does not open."""
    try:
        return _open(file)
    except (PieceNotFound, BudgetSpent) as error:
        # The state machine knows the error by the name of its class.
        raise VmcoreUnreadable(str(error)) from error
    except (struct.error, ValueError, OverflowError) as error:
        raise VmcoreUnreadable(f"The dump is damaged ({one_line(str(error), _LONGEST_LINE)}).") from error


def _open(file: BytesByRange) -> OpenedDump:
    is_flattened = file.read(0, len(flattened.SIGNATURE)) == flattened.SIGNATURE
    dump = _recognise(Flattened(file) if is_flattened else file)
    info = Vmcoreinfo(dump.vmcoreinfo.decode("utf-8", errors="replace"))
    problems: list[str] = []

    def attempt(what: str, read: Callable[[], Read], otherwise: Read) -> Read:
        try:
            return read()
        except (MemoryUnreadable, PieceNotFound, BudgetSpent) as error:
            problems.append(one_line(f"{what} could not be read from the dump: {error}", _LONGEST_PROBLEM))
            return otherwise

    def read_log() -> str:
        dump.require_whole()
        return read_kernel_log(KernelMemory(dump, info, phys_base=dump.phys_base), info)

    log = attempt("The kernel's log", read_log, "")
    pids = attempt("The processors' tasks", lambda: _running_pids(dump), list[int]())
    return OpenedDump(
        format=f"{dump.format}, flattened" if is_flattened else dump.format,
        architecture=one_line(dump.machine, _LONGEST_MACHINE),
        kernel_release=info.release,
        build_id=info.build_id,
        kaslr_offset=info.kaslr_offset,
        has_kallsyms=info.symbol("kallsyms_names") is not None,
        cpus=len(pids),
        idle_cpus=pids.count(0),
        log=log,
        problems=tuple(problems),
    )


def _running_pids(dump: KdumpCompressed | ElfCore) -> list[int]:
    """The task of each CPU at the panic, from its note CORE (struct elf_prstatus); the idle tasks have the pid 0."""
    contents = [content for name, content in dump.notes() if name == b"CORE"]
    return [_PID.unpack_from(content, _PID_AT)[0] for content in contents if len(content) >= _PID_AT + _PID.size]


def _recognise(file: BytesByRange | Flattened) -> KdumpCompressed | ElfCore:
    begins = file.read(0, 8)
    if begins == b"KDUMP   ":
        return KdumpCompressed(file)
    if begins.startswith(b"\x7fELF"):
        return ElfCore(file)
    raise VmcoreUnreadable(f"The file begins with {begins!r}: it is no kernel dump.")
