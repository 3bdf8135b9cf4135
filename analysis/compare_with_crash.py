"""Compares the stacks of all CPUs with those that `crash` prints for the same dump, function by function.

Owns crash's output format, and the list of the differences that are known (docs/analysis.md says why each is).
"""

import argparse
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.analyze import load_symbols
from analysis.cpus import list_cpus
from analysis.debuginfo import check_match, find_debuginfo
from analysis.errors import AnalysisError
from analysis.options import add_debuginfo_options, sources_of
from analysis.vmcore import identify, open_vmcore, readable

_CRASH_SECONDS = 600
# PID: 602      TASK: ffff9a0a03b0af00  CPU: 0    COMMAND: "hangdump-spinne"
_HEAD = re.compile(r"PID: \d+ +TASK: [0-9a-f]+ +CPU: (\d+) +COMMAND: \"(.*)\"")
#  #4 [fffffe7c2a3b1ef0] end_repeat_nmi at ffffffff81a015f8
_FRAME = re.compile(r" *#\d+ \[[0-9a-f]+\] (\S+) at [0-9a-f]+")
#     [exception RIP: hangdump_spin_with_interrupts_off+21]; of frames that it cannot read "unknown or invalid address"
_EXCEPTION = re.compile(r" +\[exception RIP: ([^+\]\s]+)\+\d+\]")
# --- <NMI exception stack> ---
_NEXT_STACK = re.compile(r"--- <.*> ---")
# crash shows the path from the exception or NMI into the dump; the analysis' stacks begin with the interrupted code.
_ON_THE_WAY_TO_THE_DUMP = re.compile(
    r"machine_kexec|__crash_kexec|crash_kexec|oops_end|die|__die|page_fault_oops|kernelmode_fixup_or_oops|no_context"
    r"|(?:__)?bad_area\w*|do_(?:user|kern)_addr_fault|do_error_trap|do_trap|handle_\w+|(?:asm_)?exc_\w+"
    r"|crash_nmi_callback|nmi_handle|default_do_nmi"
)
_ENTRY = re.compile(r"asm_exc_\w+")
# Labels inside functions of the entry code: crash prints them as function names.
_LABELS = {"end_repeat_nmi": "asm_exc_nmi", "entry_SYSCALL_64_after_hwframe": "entry_SYSCALL_64"}
# _vm_unmap_aliases.part.0: crash removes the compiler's suffix of a part or copy of a function.
_CLONE = re.compile(r"\.(?:part|isra|constprop)\.\d+")
# __ia32_sys_gettid is __x64_sys_gettid: a system call without arguments has one address for both names.
_OTHER_ENTRY = re.compile(r"^__ia32_sys_")
# After the kernel's return thunk crash's unwinder continues with remains of earlier calls.
_RETURN_THUNK = re.compile(r"\w*return_thunk")
# crash may omit the entry of a timer's or device's interrupt if it does not understand its frame.
_INTERRUPT_ENTRY = re.compile(r"asm_sysvec_\w+|asm_common_interrupt")
# The start of a CPU, at the bottom of the idle task's stack: only crash shows it.
_START = "secondary_startup_64_no_verify"


@dataclass(frozen=True)
class Comparison:
    """The functions of one CPU from crash and from the analysis, without known differences, innermost first."""

    cpu: int
    task: str
    by_crash: tuple[str, ...]
    ours: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        return self.by_crash == self.ours

    def __str__(self) -> str:
        head = f"CPU {self.cpu}, {self.task}: "
        if self.is_same:
            return f"{head}the same {len(self.ours)} functions{': ' if self.ours else ''}{', '.join(self.ours)}"
        return f"{head}DIFFERENT\n  crash: {', '.join(self.by_crash)}\n  here:  {', '.join(self.ours)}"


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 if crash and the analysis have the same stacks for all CPUs. Raises AnalysisError."""
    options = _parser().parse_args(arguments)
    program = open_vmcore(options.vmcore)
    identity = identify(program, options.vmcore)
    debuginfo = find_debuginfo(identity, sources_of(options))
    check_match(identity, debuginfo.kernel)
    with readable(options.vmcore):
        load_symbols(program, debuginfo)
        cpus = list_cpus(program)
    compared = compare(cpus, stacks_by_crash(debuginfo.kernel, options.vmcore))
    for each in compared:
        print(each)
    return 0 if all(each.is_same for each in compared) else 1


def compare(cpus: Sequence[Mapping[str, Any]], crash_output: str) -> list[Comparison]:
    """`cpus` is from analysis.json. Raises AnalysisError if crash did not print a stack for each CPU."""
    stacks = read_stacks(crash_output)
    missing = [each["cpu"] for each in cpus if each["cpu"] not in stacks]
    if missing or not cpus:
        raise AnalysisError(f"crash printed no stack of CPU {missing}; it said:\n{crash_output[-2000:]}")
    return [_compare(each, stacks[each["cpu"]]) for each in cpus]


def stacks_by_crash(vmlinux: Path, vmcore: Path) -> str:
    """The output of `bt -a`; it names functions of modules without their debuginfo. Raises AnalysisError."""
    with tempfile.NamedTemporaryFile("w", suffix=".crash") as commands:
        commands.write("bt -a\nquit\n")
        commands.flush()
        try:
            done = subprocess.run(
                ["crash", "-s", "-i", commands.name, vmlinux, vmcore],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_CRASH_SECONDS,
            )
        except FileNotFoundError as error:
            raise AnalysisError("crash is not installed: apt-get, dnf or zypper install crash") from error
        except subprocess.TimeoutExpired as error:
            raise AnalysisError(f"crash did not end in {_CRASH_SECONDS} s") from error
    return done.stdout + done.stderr


def read_stacks(crash_output: str) -> dict[int, list[str]]:
    """CPU → functions, innermost first. If an exception switched stacks, crash names the interrupted one twice."""
    stacks: dict[int, list[str]] = {}
    stack: list[str] = []
    interrupted = ""
    for line in crash_output.splitlines():
        if (head := _HEAD.match(line)) is not None:
            stack = stacks[int(head[1])] = []
            interrupted = ""
        elif (exception := _EXCEPTION.match(line)) is not None:
            stack.append(exception[1])
        elif _NEXT_STACK.match(line) is not None:
            interrupted = stack[-1] if stack else ""
        elif (frame := _FRAME.match(line)) is not None:
            if frame[1] != interrupted:
                stack.append(frame[1])
            interrupted = ""
    return stacks


def _compare(cpu: Mapping[str, Any], printed: Sequence[str]) -> Comparison:
    by_crash = _without_remains([_as_compared(name) for name in printed if name != _START])
    ours = [frame for frame in cpu["backtrace"] if frame["symbol"] and not frame["isInline"]]
    # A call at the end of its function returns beyond it, where crash may see the next function or none.
    ours = [frame for frame in ours if _symbol(frame) in by_crash or not _may_be_left_out(frame)]
    names = [_symbol(frame) for frame in ours]
    # For a CPU in user space crash shows only the NMI, and the analysis no function.
    begins = (by_crash.index(names[0]) if names[0] in by_crash else 0) if names else len(by_crash)
    if _is_way_to_the_dump(by_crash[:begins]):
        by_crash = by_crash[begins:]
    return Comparison(cpu["cpu"], cpu["task"]["name"], tuple(by_crash), tuple(names))


def _is_way_to_the_dump(innermost: Sequence[str]) -> bool:
    """The call that makes the dump, or the whole path from an entry of the kernel."""
    if list(innermost) == ["machine_kexec"]:
        return True
    is_from_entry = bool(innermost) and _ENTRY.fullmatch(innermost[-1]) is not None
    return is_from_entry and all(_ON_THE_WAY_TO_THE_DUMP.fullmatch(name) for name in innermost)


def _without_remains(by_crash: list[str]) -> list[str]:
    """Removes the functions between the kernel's return thunk, or do_syscall_64, and the bottom of the stack."""
    if "do_syscall_64" in by_crash[:-1]:
        by_crash = [*by_crash[: by_crash.index("do_syscall_64") + 1], by_crash[-1]]
    thunk = next((place for place, name in enumerate(by_crash) if _RETURN_THUNK.fullmatch(name)), None)
    return by_crash if thunk is None else [*by_crash[:thunk], by_crash[-1]]


def _symbol(frame: Mapping[str, Any]) -> str:
    return _as_compared(str(frame["symbol"]).partition("+")[0])


def _as_compared(name: str) -> str:
    return _LABELS.get(name, _OTHER_ENTRY.sub("__x64_sys_", _CLONE.sub("", name)))


def _may_be_left_out(frame: Mapping[str, Any]) -> bool:
    """nmi_panic.cold+0xc/0xc, asm_sysvec_apic_timer_interrupt+0x16/0x20"""
    if _INTERRUPT_ENTRY.fullmatch(_symbol(frame)):
        return True
    offset, _, size = str(frame["symbol"]).partition("+")[2].partition("/")
    return int(offset, 16) >= int(size, 16)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis compare", description=__doc__)
    parser.add_argument("vmcore", type=Path, help="as downloaded")
    add_debuginfo_options(parser)
    return parser
