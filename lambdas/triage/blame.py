"""Which function of a trace the trouble is put down to: no machinery of the kernel that it only called. Pure."""

import re
from collections.abc import Sequence

from lambdas.triage.model import Frame
from lambdas.triage.sign import BOTTOM, function_name

# Every task that sleeps, spins or runs out of memory is in these; who called them says why.
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
    """The innermost reliable one that is no machinery; when all are, the innermost."""
    sure = [frame for frame in trace if frame.is_reliable]
    return next((frame for frame in sure if not _is_machinery(function_name(frame.symbol))), sure[0] if sure else None)


def _is_machinery(name: str) -> bool:
    return _MACHINERY.fullmatch(name) is not None or BOTTOM.fullmatch(name) is not None
