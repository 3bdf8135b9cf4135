"""Opens a dump on this machine in drgn or crash, with the symbols of exactly its kernel."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.analyze import module_files
from analysis.debuginfo import Debuginfo, Sources, check_match, find_debuginfo
from analysis.errors import AnalysisError
from analysis.vmcore import identify, open_vmcore, readable


def open_dump(vmcore: Path, sources: Sources, *, is_crash: bool) -> int:
    """Replaces the process by drgn or crash with the symbols of the dump's kernel. Raises AnalysisError."""
    program = open_vmcore(vmcore)
    identity = identify(program, vmcore)
    debuginfo = find_debuginfo(identity, sources)
    check_match(identity, debuginfo.kernel)
    with readable(vmcore):
        modules = [] if is_crash else module_files(program, debuginfo)
    command = open_command(vmcore, debuginfo, modules, is_crash=is_crash)
    return os.execvp(command[0], command)  # noqa: S606 - no shell, and the user's own command line


def open_command(vmcore: Path, debuginfo: Debuginfo, modules: Sequence[str], *, is_crash: bool) -> list[str]:
    """drgn loads the modules' symbols at its start, crash when the user types `mod -S`."""
    if is_crash:
        if shutil.which("crash") is None:
            raise AnalysisError("crash is not installed: apt-get, dnf or zypper install crash, or leave out --crash")
        # crash takes one directory; it finds those of installed packages itself.
        place = [option for each in debuginfo.module_directories[:1] for option in ("--mod", str(each))]
        return ["crash", *place, str(debuginfo.kernel), str(vmcore)]
    symbols = [option for file in (str(debuginfo.kernel), *modules) for option in ("-s", file)]
    return [sys.executable, "-m", "drgn", "-c", str(vmcore), *symbols]
