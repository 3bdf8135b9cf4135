"""A task's stack as plain data: function, where in the source, which module. Owns the shape of a frame."""

import contextlib
from typing import Any

import drgn
from drgn.helpers.linux.mm import vma_find, vma_name

# Deeper is a recursion that ran until the stack was full; its first frames say where it began.
MOST_FRAMES = 128
_FIRST_OF_MANY = 100


def backtrace(task: drgn.Object) -> list[dict[str, Any]]:
    """Innermost first. Raises ValueError when the task's registers are not in the dump."""
    trace = list(task.prog_.stack_trace(task))
    if len(trace) > MOST_FRAMES:
        trace = trace[:_FIRST_OF_MANY] + trace[-(MOST_FRAMES - _FIRST_OF_MANY) :]
    return [describe_frame(frame, task) for frame in trace]


def describe_frame(frame: drgn.StackFrame, task: drgn.Object) -> dict[str, Any]:
    """`symbol` is written as the kernel writes it (`panic+0x13d/0x2f4`); an inlined function shares its caller's.

    In user space there is no function: the address, and the mapped file as the module.
    """
    name, file, line = frame.name, "", 0
    with contextlib.suppress(LookupError):
        file, line, _ = frame.source()
    try:
        symbol = frame.symbol()
        text = f"{symbol.name}+{frame.pc - symbol.address:#x}/{symbol.size:#x}"
    except LookupError:
        text = ""
    return {
        "function": name,
        "file": file,
        "line": line,
        "module": _module(frame, task, is_kernel=bool(text)),
        "symbol": text,
        "isInline": frame.is_inline,
    }


def _module(frame: drgn.StackFrame, task: drgn.Object, *, is_kernel: bool) -> str:
    """ "" for the kernel itself, the module's name, or of an address in user space the file mapped there."""
    if is_kernel:
        try:
            name = str(task.prog_.module(frame.pc).name)
        except LookupError:
            return ""
        return "" if name == "kernel" else name
    try:
        if task.mm:
            vma = vma_find(task.mm, frame.pc)
            return vma_name(vma).decode(errors="replace") if vma else ""
    except (drgn.FaultError, LookupError, AttributeError):
        pass
    return ""


def describe_task(task: drgn.Object) -> dict[str, Any]:
    """Name and pid."""
    return {"name": task.comm.string_().decode(errors="replace"), "pid": task.pid.value_()}
