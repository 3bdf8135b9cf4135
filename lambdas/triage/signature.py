"""A signature that groups crashes with the same cause. Pure.

As in kerneloops and ABRT it hashes function names: those of the reliable frames from the blamed function outwards,
without functions that merely work for their callers (blame.py). Addresses, offsets, registers, pids and times differ
between repeats and between builds of a kernel. The class is included because one function can both hang and fault.

    sha256(class + "\\n" + up to three names, innermost first, each followed by "\\n"), its first 16 hexadecimal digits

Where the stack is chance, another name stands for it: who had the memory when it ran out, the driver whose transmit
queue timed out, the signal that killed init, the task of a CPU that was interrupted in user space.
"""

import hashlib
import re
from collections.abc import Sequence

from lambdas.triage.blame import is_idle, is_of_detector, telling_names
from lambdas.triage.model import CrashClass, Frame, InstructionPointer, Task

_MOST_NAMES = 3
_DIGEST_DIGITS = 16


def sign(
    crash_class: CrashClass,
    trace: Sequence[Frame],
    pointer: InstructionPointer | None,
    task: Task | None,
    *,
    instead: str = "",
) -> str:
    """The signature; `instead` names what stands for the stack. "": nothing is known that tells two crashes apart."""
    names = [instead] if instead else telling_names(trace)[:_MOST_NAMES]
    is_of_task = crash_class not in (CrashClass.UNKNOWN, CrashClass.PANIC)
    is_of_another = is_idle(trace) or is_of_detector(trace)
    if not names and is_of_task and not is_of_another and task and task.name and task.pid != 0:
        where = "user space" if pointer and pointer.is_user_space else "task"
        names = [f"{where} {without_digits(task.name)}"]
    if not names:
        return ""
    text = "".join(f"{part}\n" for part in (crash_class.value, *names))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def without_digits(name: str) -> str:
    """A task's name without the numbers of threads, CPUs and disks."""
    return re.sub(r"[0-9]+", "", name)
