"""Tasks in uninterruptible sleep (D) with their stacks: they wait for a lock or a device."""

from collections.abc import Iterator
from typing import Any

import drgn
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import task_since_last_arrival_ns, task_state_to_char

from analysis.backtrace import backtrace, describe_task

# Many blocked tasks share a handful of stacks.
MOST_TASKS = 200


def for_each_blocked_task(program: drgn.Program) -> Iterator[drgn.Object]:
    """The tasks that the kernel calls blocked, without idle kernel threads (I) and killable freezes."""
    return (task for task in for_each_task(program) if task_state_to_char(task) == "D")


def list_blocked_tasks(program: drgn.Program) -> list[dict[str, Any]]:
    """The longest blocked first, `MOST_TASKS` of them."""
    return [
        {**describe_task(task), "seconds": seconds, "backtrace": _stack(task)}
        for seconds, task in _longest_first(program)[:MOST_TASKS]
    ]


def longest_blocked(program: drgn.Program) -> drgn.Object | None:
    """The task blocked longest, or None."""
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
    """The time since the task last ran; 0 if the kernel does not record it (CONFIG_SCHED_INFO)."""
    try:
        return max(0.0, round(int(task_since_last_arrival_ns(task)) / 1e9, 3))
    except (AttributeError, LookupError, drgn.FaultError):
        return 0.0
