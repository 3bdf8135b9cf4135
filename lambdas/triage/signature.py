"""A signature that groups crashes with the same cause. Pure.

As in kerneloops and ABRT it hashes the function names of the reliable frames. Addresses, offsets, registers, pids and
times differ between repeats and between builds of a kernel. The class is included because one function can both hang
and fault. Suffixes of the compiler (.cold, .isra.0) are removed.

    sha256(class + "\\n" + up to five names, innermost first, each followed by "\\n"), its first 16 hexadecimal digits

A CPU interrupted in user space has no frames: the task's name without digits replaces them.
"""

import hashlib
import re
from collections.abc import Sequence

from lambdas.triage.model import CrashClass, Frame, InstructionPointer, Task

_MOST_NAMES = 5
_DIGEST_DIGITS = 16
# native_queued_spin_lock_slowpath.part.0 · foo.isra.12.cold · foo.llvm.123456
_SUFFIX = re.compile(r"\.(?:cold|isra|constprop|part|llvm|lto_priv)(?:\.\d+)?(?=\.|$)|\.\d+$")
# Every task's stack ends in these: the entry into the kernel, or the start of the task.
BOTTOM = re.compile(
    r"entry_SYSCALL_64\w*|do_syscall_64|x64_sys_call|el0t?_\w+|do_el0_svc|invoke_syscall|ret_from_fork\w*|kthread|ret_from_kernel_thread"
    r"|system_call_fastpath|start_kernel|x86_64_start_\w+|secondary_startup_64\w*|cpu_startup_entry|start_secondary|rest_init"
)


def sign(crash_class: CrashClass, trace: Sequence[Frame], pointer: InstructionPointer | None, task: Task | None) -> str:
    """The signature; "" when neither functions nor a task are known."""
    names = [name for frame in trace if frame.is_reliable and not BOTTOM.fullmatch(name := function_name(frame.symbol))]
    # Count a recursion once: its depth depends only on the stack.
    names = [name for place, name in enumerate(names) if place == 0 or name != names[place - 1]][:_MOST_NAMES]
    if not names and crash_class not in (CrashClass.UNKNOWN, CrashClass.PANIC) and task and task.name:
        where = "user space" if pointer and pointer.is_user_space else "task"
        names = [f"{where} {re.sub(r'[0-9]+', '', task.name)}"]
    if not names:
        return ""
    text = "".join(f"{part}\n" for part in (crash_class.value, *names))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]


def function_name(symbol: str) -> str:
    """The name in the source."""
    return _SUFFIX.sub("", symbol)


# Every task that sleeps, spins or runs out of memory is in these; their caller shows the reason.
_MACHINERY = re.compile(
    "|".join(
        (
            # sleeping
            r"__switch_to(?:_asm)?|context_switch|(?:preempt_)?(?:__)?schedule(?:_\w+)?|io_schedule(?:_\w+)?",
            r"(?:__)?wait_for_common(?:_\w+)?|wait_for_completion\w*|(?:out_of_line_|__)?wait_on_bit\w*|bit_wait\w*",
            r"(?:folio_)?wait_(?:bit|on_page_bit)\w*|do_nanosleep|msleep\w*",
            # taking a lock, asleep or spinning
            r"(?:__)?(?:mutex|ww_mutex|rt_mutex)_\w*lock\w*|rwbase_\w+|rwsem_\w+|(?:__)?down(?:_(?:read|write|common|killable|timeout)\w*)?",
            r"(?:__)?percpu_(?:down|rwsem)\w*|(?:native_|pv_)?queued_(?:spin|read|write)_lock_slowpath",
            r"__pv_queued_spin_lock_slowpath|(?:_raw|do_raw|arch)_(?:spin|read|write)_lock\w*|osq_lock",
            # asking for memory
            r"dump_header|oom_kill_process|out_of_memory|(?:__)?alloc_pages\w*|__alloc_frozen_pages\w*|(?:__)?(?:vma_)?(?:alloc_folio|folio_alloc)\w*",
            r"__get_free_pages|get_free_pages|(?:__)?kmalloc\w*|kmem_cache_alloc\w*|___slab_alloc|__slab_alloc|allocate_slab|new_slab",
        )
    )
)


def blamed_frame(trace: Sequence[Frame]) -> Frame | None:
    """The innermost reliable frame that is no machinery; if all are, the innermost."""
    sure = [frame for frame in trace if frame.is_reliable]
    return next((frame for frame in sure if not _is_machinery(function_name(frame.symbol))), sure[0] if sure else None)


def _is_machinery(name: str) -> bool:
    return _MACHINERY.fullmatch(name) is not None or BOTTOM.fullmatch(name) is not None
