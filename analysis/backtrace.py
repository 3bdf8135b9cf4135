"""A task's stack as plain data: each frame's function, source line and module."""

import contextlib
from typing import Any

import drgn
from drgn.helpers.linux.mm import vma_find, vma_name

# A deeper stack is a recursion until the stack overflowed; its first frames show the cause.
MOST_FRAMES = 128
_FIRST_OF_MANY = 100


def backtrace(task: drgn.Object) -> list[dict[str, Any]]:
    """The frames, innermost first. Raises ValueError when the task's registers are not in the dump."""
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
    """The module's name, the mapped file of an address in user space, or "" for the kernel itself."""
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
    """The task's name and pid."""
    return {"name": task.comm.string_().decode(errors="replace"), "pid": task.pid.value_()}
