"""Analyses a dump: opens it with its symbols and runs each section. A section that fails becomes a problem."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import drgn
from drgn.helpers.linux.kallsyms import load_module_kallsyms
from drgn.helpers.linux.panic import panic_message, panic_task
from drgn.helpers.linux.printk import get_dmesg

from analysis.backtrace import describe_task
from analysis.block_requests import list_block_requests
from analysis.blocked_tasks import list_blocked_tasks
from analysis.cpus import list_cpus
from analysis.culprit import find_culprit
from analysis.debuginfo import Debuginfo, Sources, check_match, find_debuginfo
from analysis.locks import list_locks
from analysis.memory import measure_memory
from analysis.mounts import list_mounts
from analysis.run_queues import list_run_queues
from analysis.vmcore import Identity, identify, open_vmcore, readable

# A corrupted list can be a circle without an end.
SECTION_SECONDS = 300
_MOST_LOG_CHARACTERS = 256 * 1024

Section = Callable[[drgn.Program], Any]


def _read_log(program: drgn.Program) -> str:
    """The end of the kernel's log."""
    return str(get_dmesg(program).decode(errors="replace"))[-_MOST_LOG_CHARACTERS:]


def _describe_panic(program: drgn.Program) -> dict[str, Any]:
    """`message` without "Kernel panic - not syncing: ", "" when the log has none."""
    message = (panic_message(program) or b"").decode(errors="replace")
    return {
        "message": message.split("Kernel panic - not syncing: ")[-1].strip(),
        "task": describe_task(panic_task(program)),
        "cpu": program["crashing_cpu"].value_() if "crashing_cpu" in program else None,
    }


# The key of analysis.json, the function that reads it, and the value if that fails.
SECTIONS: tuple[tuple[str, Section, Any], ...] = (
    ("panic", _describe_panic, None),
    ("culprit", find_culprit, None),
    ("cpus", list_cpus, []),
    ("blockedTasks", list_blocked_tasks, []),
    ("runQueues", list_run_queues, []),
    ("locks", list_locks, []),
    ("memory", measure_memory, None),
    ("mounts", list_mounts, []),
    ("blockRequests", list_block_requests, []),
    ("log", _read_log, ""),
)


class SectionTimedOut(Exception):
    """A section did not end in SECTION_SECONDS."""


def analyze_file(vmcore: Path, sources: Sources) -> dict[str, object]:
    """analysis.json as an object. The match is checked before any symbol is loaded. Raises AnalysisError."""
    program = open_vmcore(vmcore)
    identity = identify(program, vmcore)
    debuginfo = find_debuginfo(identity, sources)
    is_matched = check_match(identity, debuginfo.kernel)
    with readable(vmcore):
        problems = load_symbols(program, debuginfo)
    if not is_matched:
        problems.append(f"the dump names no build id; the symbols match {identity.release} by its name alone")
    return analyze(program, identity, problems, is_matched=is_matched)


def load_symbols(program: drgn.Program, debuginfo: Debuginfo) -> list[str]:
    """Lists modules without debuginfo as problems: their functions have names, but neither lines nor variables."""
    files = module_files(program, debuginfo)
    with contextlib.suppress(drgn.MissingDebugInfoError):
        program.load_debug_info(files)
    bare = sorted(module.name for module in program.modules() if module.wants_debug_file())
    if bare:
        program.register_symbol_finder("module kallsyms", load_module_kallsyms(program), enable_index=0)
    return [f"no debuginfo of the modules {', '.join(bare)}"] if bare else []


def module_files(program: drgn.Program, debuginfo: Debuginfo) -> list[str]:
    """The debuginfo of the loaded modules. Loads the kernel's first, because it is needed to list the modules."""
    with contextlib.suppress(drgn.MissingDebugInfoError):  # of modules; looked for next
        program.load_debug_info([str(debuginfo.kernel)])
    program.create_loaded_modules()
    wanted = {module.name.replace("-", "_") for module in program.modules() if module.wants_debug_file()}
    return [
        str(path)
        for directory in debuginfo.module_directories
        for path in directory.rglob("*.ko*")
        # nvme-core.ko.debug belongs to the module nvme_core.
        if path.name.split(".ko")[0].replace("-", "_") in wanted
    ]


def analyze(
    program: drgn.Program, identity: Identity, problems: list[str], *, is_matched: bool, seconds: int = SECTION_SECONDS
) -> dict[str, Any]:
    """Builds analysis.json. `problems` are those already known."""
    result: dict[str, Any] = {
        "kernelRelease": identity.release,
        "buildId": identity.build_id,
        "isSymbolsMatched": is_matched,
    }
    found = list(problems)
    for key, section, empty in SECTIONS:
        try:
            with _at_most(seconds):
                result[key] = section(program)
        except Exception as error:  # a corrupted kernel can fail in any way; the other sections still count
            result[key] = empty
            found.append(f"{key}: {type(error).__name__}: {error}")
    return {**result, "problems": found}


@contextlib.contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def give_up(_signal_number: int, _frame: FrameType | None) -> None:
        raise SectionTimedOut(f"did not end in {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
