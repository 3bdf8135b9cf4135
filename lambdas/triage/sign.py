"""A signature by which repeats of one trouble are grouped. Pure.

The idea is that of kerneloops and ABRT: hash the names of functions, of frames that are sure. Addresses, offsets,
registers, pids and times differ between repeats, and between builds of a kernel. The class is part of it, as one
function can hang and can fault; what compilers append to a name (.cold, .isra.0) is taken off.

    sha256(class + "\\n" + up to five names, innermost first, each followed by "\\n"), its first 16 hexadecimal digits

A machine interrupted in user space has no frames: its task's name, without digits, stands for them.
"""

import hashlib
import re
from collections.abc import Sequence

from lambdas.triage.model import CrashClass, Frame, InstructionPointer, Task

_MOST_NAMES = 5
_DIGEST_DIGITS = 16
# native_queued_spin_lock_slowpath.part.0 · foo.isra.12.cold · foo.llvm.123456
_SUFFIX = re.compile(r"\.(?:cold|isra|constprop|part|llvm|lto_priv)(?:\.\d+)?(?=\.|$)|\.\d+$")
# Every task's stack ends in these: how it came into the kernel, or how it was started.
BOTTOM = re.compile(
    r"entry_SYSCALL_64\w*|do_syscall_64|x64_sys_call|el0t?_\w+|do_el0_svc|invoke_syscall|ret_from_fork\w*|kthread|ret_from_kernel_thread"
    r"|system_call_fastpath|start_kernel|x86_64_start_\w+|secondary_startup_64\w*|cpu_startup_entry|start_secondary|rest_init"
)


def sign(crash_class: CrashClass, trace: Sequence[Frame], pointer: InstructionPointer | None, task: Task | None) -> str:
    """ "" when neither functions nor a task are known."""
    names = [name for frame in trace if frame.is_reliable and not BOTTOM.fullmatch(name := function_name(frame.symbol))]
    # A recursion is as deep as the stack, which says nothing.
    names = [name for place, name in enumerate(names) if place == 0 or name != names[place - 1]][:_MOST_NAMES]
    if not names and crash_class not in (CrashClass.UNKNOWN, CrashClass.PANIC) and task and task.name:
        where = "user space" if pointer and pointer.is_user_space else "task"
        names = [f"{where} {re.sub(r'[0-9]+', '', task.name)}"]
    if not names:
        return ""
    text = "".join(f"{part}\n" for part in (crash_class.value, *names))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def function_name(symbol: str) -> str:
    """As in the source."""
    return _SUFFIX.sub("", symbol)
