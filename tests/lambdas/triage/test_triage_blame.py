"""Of a trace the function is named that says why: who waited, not how."""

import pytest

from lambdas.triage.blame import blamed_frame
from lambdas.triage.model import Frame


def blamed(*symbols: str) -> str:
    """Innermost first; "? name" is an unreliable frame."""
    trace = [Frame(symbol=each.removeprefix("? "), is_reliable=not each.startswith("? ")) for each in symbols]
    frame = blamed_frame(trace)
    return frame.symbol if frame else ""


@pytest.mark.parametrize(
    "machinery",
    [
        pytest.param(("__schedule", "schedule", "schedule_preempt_disabled", "__mutex_lock.constprop.0"), id="mutex"),
        pytest.param(("__schedule", "schedule", "rwsem_down_write_slowpath", "down_write"), id="semaphore"),
        pytest.param(("__schedule", "schedule", "io_schedule", "folio_wait_bit_common"), id="page"),
        pytest.param(("__schedule", "schedule", "schedule_timeout", "wait_for_completion"), id="completion"),
        pytest.param(("native_queued_spin_lock_slowpath", "_raw_spin_lock_irqsave"), id="spinlock"),
        pytest.param(
            ("dump_header", "out_of_memory.cold", "__alloc_pages_slowpath.constprop.0", "__alloc_pages"), id="memory"
        ),
        pytest.param(("? asm_exc_nmi", "? xfs_unlock"), id="doubtful"),
    ],
)
def test_names_who_called_the_machinery(machinery: tuple[str, ...]) -> None:
    assert blamed(*machinery, "xfs_ilock", "xfs_create", "kthread", "ret_from_fork") == "xfs_ilock"


def test_of_machinery_alone_names_the_innermost() -> None:
    assert blamed("__schedule", "schedule", "kthread", "ret_from_fork") == "__schedule"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "scheduler_tick",
            "mutex_bench",
            "downgrade",
            "slab_leak",
            "wait_for_device_probe",
            "seq_read_iter",
            "rb_advance",
        ),
        *("completely_fair", "xattr_get", "string_table_scan", "serial8250_handle_irq", "skb_queue_purge", "rt_walk"),
    ],
)
def test_a_name_that_only_begins_like_machinery_is_named(name: str) -> None:
    assert blamed("__schedule", name, "kthread") == name


def test_of_no_trace_nothing_is_named() -> None:
    assert blamed() == ""
