"""Tasks in uninterruptible sleep (D), with their stacks: what waits for a lock or a device that does not come."""

from collections.abc import Iterator
from typing import Any

import drgn
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import task_since_last_arrival_ns, task_state_to_char

from analysis.backtrace import backtrace, describe_task

# A storm of blocked tasks repeats a handful of stacks.
MOST_TASKS = 200


def for_each_blocked_task(program: drgn.Program) -> Iterator[drgn.Object]:
    """Those that the kernel would call blocked: idle kernel threads (I) and killable freezes are not."""
    return (task for task in for_each_task(program) if task_state_to_char(task) == "D")


def list_blocked_tasks(program: drgn.Program) -> list[dict[str, Any]]:
    """The longest blocked first, `MOST_TASKS` of them."""
    return [
        {**describe_task(task), "seconds": seconds, "backtrace": _stack(task)}
        for seconds, task in _longest_first(program)[:MOST_TASKS]
    ]


def longest_blocked(program: drgn.Program) -> drgn.Object | None:
    """Who has been blocked longest, or nobody."""
    return next((task for _, task in _longest_first(program)), None)


def _longest_first(program: drgn.Program) -> list[tuple[float, drgn.Object]]:
    blocked = [(_blocked_seconds(task), task) for task in for_each_blocked_task(program)]
    return sorted(blocked, key=lambda each: -each[0])


def _stack(task: drgn.Object) -> list[dict[str, Any]]:
    try:
        return backtrace(task)
    except (ValueError, LookupError, drgn.FaultError):
        return []


def _blocked_seconds(task: drgn.Object) -> float:
    """Since it ran last; 0 when the kernel keeps no account of that (CONFIG_SCHED_INFO)."""
    try:
        return max(0.0, round(int(task_since_last_arrival_ns(task)) / 1e9, 3))
    except (AttributeError, LookupError, drgn.FaultError):
        return 0.0
