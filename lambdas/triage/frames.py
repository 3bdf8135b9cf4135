"""One line of a trace: stack frames, instruction pointers, stack markers, and whose trace it is. Pure.

Formats: dump_stack_print_info in lib/dump_stack.c, show_trace_log_lvl and show_ip in arch/x86/kernel/dumpstack.c,
__show_regs and dump_backtrace_entry in arch/arm64/kernel, sched_show_task in kernel/sched/core.c; 3.10 to 6.18.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lambdas.triage.model import Frame, InstructionPointer, Task

# do_sys_poll+0x3e2/0x5a0 [module 0123abcd] (P): after the module its build id, at the end arm64's letter for the origin
_SYMBOL = r"(?P<symbol>[A-Za-z_.$][\w.$]{0,200})\+0x(?P<offset>[0-9a-f]{1,16})/0x(?P<size>[0-9a-f]{1,16})"
_MODULE = r"(?: \[(?P<module>[\w-]{1,64})(?: [0-9a-f]{1,64})?\])?"
#  <IRQ>  [<ffffffff81635a0c>] ? dump_stack+0x19/0x1b
_FRAME = re.compile(
    rf"\s{{0,8}}(?:\[<[0-9a-fx]{{1,18}}>\] ?)?(?P<doubt>\? )?{_SYMBOL}{_MODULE}(?: \([A-Z]{{1,4}}\))*\s*$"
)
#  <TASK> ·  </NMI> ·  <<EOE>> ·  <EOI>
_MARKER = re.compile(r"\s{0,8}<{1,2}(?P<name>/?[A-Z#_]{2,20})>{1,2} {0,2}")
# RIP: 0010:spin+0x5/0x10 [mod] · RIP: 0033:0x5600f7369da9 · RIP: 0010:[<ffffffff81055a62>]  [<…>] halt+0x2/0xa
_RIP = re.compile(
    rf"RIP: (?P<selector>[0-9a-f]{{4}}):(?:\[<[0-9a-f]{{1,16}}>\]\s{{0,4}})*(?:{_SYMBOL}{_MODULE}|(?P<bare>\S*))"
)
# pc : spin+0x8/0x20 [mod] · PC is at spin+0x8/0x20 [mod] · pc : 0000ffff8a0b1c2c
_PC = re.compile(rf"(?:pc : |PC is at )(?:\[?<?[0-9a-f]{{8,16}}>?\]?$|{_SYMBOL}{_MODULE})")
# CPU: 0 UID: 0 PID: 602 Comm: spin Kdump: loaded Tainted: G        W  OE      6.1.0-56-amd64 #1  Debian 6.1.192-2
# Pid: 2101, comm: mdt00_003 4.18.0-553.el8.x86_64 #1 SMP (Lustre)
_WHO = re.compile(
    r"(?:CPU: (?P<cpu>\d{1,5}) )?(?:UID: \d{1,10} )?[Pp][Ii][Dd]: (?P<pid>\d{1,10}),? [Cc]omm: (?P<comm>.{0,40}?)"
    r" (?:Kdump: loaded )?"
    r"(?:(?:(?P<clean>Not tainted)|Tainted: (?P<taint>[A-Z][A-Z -]{0,60}?))[ -]{1,40}|(?=\d+\.\d+\.\d\S{0,80} #\d))"
    r"(?P<release>\d\S{0,80})"
)
_HARDWARE = re.compile(r"Hardware name: (.{1,200})")
# task:jbd2/nvme1n1-8 state:D stack:0     pid:211   tgid:211   ppid:2      flags:0x00004000
_TASK = re.compile(r"task:(?P<comm>.{1,40}?)\s+state:(?P<state>[A-Z])\b.{0,40}? pid: {0,5}(?P<pid>\d{1,10})")
# kworker/0:1     D    0   123      2 0x80000000 · swapper/0       R  running task        0     0      0 0x00000002 ·
# mysqld          D ffff8a1b3fc1bdfa     0  4410      1 0x00000080 (EL7)
_OLD_TASK = re.compile(
    r"(?P<comm>\S.{0,14}?) +(?P<state>[RSDTtXZPIKW]) {1,2}(?:running task {1,4}|[0-9a-f]{16})?"
    r" +\d{1,8} +(?P<pid>\d{1,10}) +\d{1,10} +0x[0-9a-f]{8,16}"
)


@dataclass(frozen=True, slots=True)
class Who:
    """The line of dump_stack_print_info."""

    cpu: int | None
    task: Task
    taint: str
    release: str


@dataclass(frozen=True, slots=True)
class TaskHeader:
    """The line of sched_show_task."""

    task: Task
    state: str


def read_marker(text: str) -> tuple[str, str]:
    """The stack marker at the beginning of a line, or "", and what follows it."""
    found = _MARKER.match(text) if "<" in text[:10] else None
    return (found["name"], text[found.end() :]) if found else ("", text)


@lru_cache(maxsize=8192)
def read_frame(text: str) -> Frame | None:
    """A line of a call trace. The traces of one log have most of their lines in common: equal lines, one object."""
    found = _FRAME.match(text)
    return Frame(**_place(found), is_reliable=found["doubt"] is None) if found else None


def is_frame(text: str) -> bool:
    """Whether a line is one of a call trace."""
    return _FRAME.match(text) is not None


def read_instruction_pointer(text: str) -> InstructionPointer | None:
    """RIP or pc. On x86 the selector's last two bits are the ring: 3 is user space."""
    rip = _RIP.match(text) if text.startswith("RIP: ") else None
    if rip is not None:
        if int(rip["selector"], 16) & 3 == 3:
            return InstructionPointer(is_user_space=True)
        return InstructionPointer(**_place(rip)) if rip["symbol"] else InstructionPointer()
    pc = _PC.match(text) if text.startswith(("pc : ", "PC is at ")) else None
    if pc is None:
        return None
    # arm64 prints a bare address for user space only: __show_regs
    return InstructionPointer(**_place(pc)) if pc["symbol"] else InstructionPointer(is_user_space=True)


def read_who(text: str) -> Who | None:
    """Whose trace follows."""
    found = _WHO.match(text) if text.startswith(("CPU: ", "PID: ", "Pid: ")) else None
    if found is None:
        return None
    # The dashes stand for the unsupported hardware and the like of Red Hat's kernels.
    taint = found["clean"] or " ".join((found["taint"] or "").replace("-", " ").split())
    cpu = int(found["cpu"]) if found["cpu"] else None
    return Who(cpu, Task(name=found["comm"], pid=int(found["pid"])), taint, found["release"])


def read_hardware(text: str) -> str:
    """What the firmware calls the machine, or ""."""
    found = _HARDWARE.match(text) if text.startswith("Hardware name: ") else None
    return found[1].strip() if found else ""


def read_task(text: str) -> TaskHeader | None:
    """A task shown with its stack."""
    found = _TASK.match(text) if text.startswith("task:") else _OLD_TASK.match(text) if "0x" in text else None
    return TaskHeader(Task(name=found["comm"].strip(), pid=int(found["pid"])), found["state"]) if found else None


def _place(found: re.Match[str]) -> dict[str, Any]:
    return {
        "symbol": found["symbol"],
        "offset": int(found["offset"], 16),
        "size": int(found["size"], 16),
        "module": found["module"] or "",
    }
