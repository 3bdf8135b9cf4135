"""Opens a vmcore without symbols and identifies its kernel. Loads no debuginfo."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import drgn

from analysis.errors import VmcoreUnreadable

# The first bytes of `makedumpfile -F`, which Debian's kdump-tools always uses.
_FLATTENED = b"makedumpfile"
# 6.1.0-28-cloud-amd64: anything printable but a slash
_RELEASE = re.compile(r"[0-9A-Za-z][!-.0-~]{0,127}")
# SHA-1 has 40 digits; the linker's other kinds have 16 to 64.
_BUILD_ID = re.compile(r"(?:[0-9a-f]{2}){8,32}")


@dataclass(frozen=True)
class Identity:
    """`build_id` is lower-case hex; "" if the dump has none (before Linux 5.9)."""

    release: str
    build_id: str
    architecture: str
    is_flattened: bool


def open_vmcore(path: Path) -> drgn.Program:
    """Raises VmcoreUnreadable. drgn's libkdumpfile reads flattened dumps directly."""
    if not path.is_file():
        raise VmcoreUnreadable(f"{path} is no file")
    program = drgn.Program()
    with readable(path), _without_the_hint_on_flattened_dumps(path):
        program.set_core_dump(str(path))
    if not program.flags & drgn.ProgramFlags.IS_LINUX_KERNEL:
        raise VmcoreUnreadable(f"{path} is a core dump of a process, not of a kernel")
    return program


def identify(program: drgn.Program, path: Path) -> Identity:
    """Reads VMCOREINFO, which every kdump has. Raises VmcoreUnreadable.

    Both names become parts of paths, of a URL and of a command: a dump that was made to hurt may say `../`.
    """
    with readable(path):
        info = vmcoreinfo(program)
    release, build_id = info.get("OSRELEASE", ""), info.get("BUILD-ID", "").lower()
    if not _RELEASE.fullmatch(release):
        raise VmcoreUnreadable(f"{path} is of no kernel that could be: its release is {release[:200]!r}")
    if build_id and not _BUILD_ID.fullmatch(build_id):
        raise VmcoreUnreadable(f"{path} is of no kernel that could be: its build id is {build_id[:200]!r}")
    with path.open("rb") as file:
        is_flattened = file.read(len(_FLATTENED)) == _FLATTENED
    return Identity(
        release=release,
        build_id=build_id,
        architecture=program.platform.arch.name.lower() if program.platform else "",
        is_flattened=is_flattened,
    )


def vmcoreinfo(program: drgn.Program) -> dict[str, str]:
    """The key=value lines of VMCOREINFO."""
    text = program["VMCOREINFO"].string_().decode(errors="replace")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns whatever drgn raises inside into VmcoreUnreadable.

    Of a dump that was cut it raises a bare Exception, BadDataError, FaultError, ValueError or LookupError, as the place
    of the cut wants it (drgn 0.3.0).
    """
    try:
        yield
    except Exception as error:
        # "file #0: Unknown flattened type: 0\n"
        said = " ".join(str(error).split())
        raise VmcoreUnreadable(
            f"{path} does not open as a kernel dump: {said}. Compare its size and digest with the incident's record; "
            "a flattened dump that is damaged may still be put together by `makedumpfile -R NEW < OLD`"
        ) from error


@contextlib.contextmanager
def _without_the_hint_on_flattened_dumps(path: Path) -> Iterator[None]:
    """Hides drgn's warning, printed from C, that a flattened dump may be slow. It is not (30 MB: 0.3 s)."""
    with path.open("rb") as file:
        if file.read(len(_FLATTENED)) != _FLATTENED:
            yield
            return
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
