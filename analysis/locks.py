"""The holders of the mutexes and semaphores that blocked tasks wait for, if the dump has them.

The lock's address is rarely in a register any more. What is always on the waiter's stack is its entry in the lock's
wait list, and the one member of that list which is no waiter is the lock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import drgn
from drgn import container_of
from drgn.helpers.linux.locking import mutex_owner, rwsem_locked, rwsem_owner
from drgn.helpers.linux.pid import for_each_task

from analysis.backtrace import describe_task
from analysis.blocked_tasks import for_each_blocked_task

# A list longer than the number of tasks is corrupted.
_LONGEST_WAIT_LIST = 100_000


@dataclass(frozen=True)
class _Kind:
    """A lock, and the type of its waiters; both link themselves by these members."""

    name: str
    lock_type: str
    wait_list: str
    waiter_type: str
    link: str


_KINDS = (
    _Kind("mutex", "struct mutex", "wait_list", "struct mutex_waiter", "list"),
    _Kind("rwsem", "struct rw_semaphore", "wait_list", "struct rwsem_waiter", "list"),
    _Kind("semaphore", "struct semaphore", "wait_list", "struct semaphore_waiter", "list"),
)


def list_locks(program: drgn.Program) -> list[dict[str, Any]]:
    """Each lock once, with its waiters. `holder` is null if the kernel records none (semaphores, readers)."""
    tasks = {task.value_() for task in for_each_task(program)}
    locks: dict[int, tuple[_Kind, drgn.Object, list[drgn.Object]]] = {}
    for task in for_each_blocked_task(program):
        for kind, lock in _awaited_by(task, tasks):
            locks.setdefault(lock.value_(), (kind, lock, []))[2].append(task)
    return [_describe(kind, lock, waiters, tasks) for kind, lock, waiters in locks.values()]


def holder_awaited_by(task: drgn.Object) -> drgn.Object | None:
    """The holder of the lock that this task waits for; None if it waits for none or the holder is unknown."""
    tasks = {each.value_() for each in for_each_task(task.prog_)}
    for kind, lock in _awaited_by(task, tasks):
        owner = _owner(kind, lock)
        if owner is not None and owner.value_() in tasks:
            return owner
    return None


def _awaited_by(task: drgn.Object, tasks: set[int]) -> Iterator[tuple[_Kind, drgn.Object]]:
    """The lock that the task waits for: there is one at most."""
    try:
        frames = task.prog_.stack_trace(task)
    except (ValueError, LookupError, drgn.FaultError):
        return
    for frame in frames:
        for kind in _KINDS:
            waiter = _local_waiter(frame, kind)
            if waiter is None:
                continue
            lock = _lock_of(waiter, kind, tasks)
            if lock is not None:
                yield kind, lock
                return


def _local_waiter(frame: drgn.StackFrame, kind: _Kind) -> drgn.Object | None:
    """The frame's variable `waiter`; all kernel versions use this name."""
    try:
        waiter = frame["waiter"]
        if waiter.type_.type_name() != kind.waiter_type or waiter.absent_:
            return None
        return waiter.address_of_()
    except (KeyError, LookupError, ValueError, TypeError, drgn.FaultError):
        return None


def _lock_of(waiter: drgn.Object, kind: _Kind, tasks: set[int]) -> drgn.Object | None:
    start = waiter.member_(kind.link).address_of_()
    node = start.next
    for _ in range(_LONGEST_WAIT_LIST):
        if node.value_() == start.value_():
            return None
        if container_of(node, kind.waiter_type, kind.link).task.value_() not in tasks:
            return container_of(node, kind.lock_type, kind.wait_list)
        node = node.next
    return None


def _describe(kind: _Kind, lock: drgn.Object, waiters: list[drgn.Object], tasks: set[int]) -> dict[str, Any]:
    owner = _owner(kind, lock)
    is_known = owner is not None and owner.value_() in tasks
    return {
        "kind": kind.name,
        "holder": describe_task(owner) if owner is not None and is_known else None,
        "waiters": [describe_task(waiter) for waiter in waiters],
        "detail": f"{_name(lock)}{_state(kind, lock)}",
    }


def _owner(kind: _Kind, lock: drgn.Object) -> drgn.Object | None:
    try:
        if kind.name == "mutex":
            return mutex_owner(lock)
        if kind.name == "rwsem":
            return rwsem_owner(lock)
    except (LookupError, AttributeError, drgn.FaultError):
        pass
    return None


def _name(lock: drgn.Object) -> str:
    """The name of a global lock, such as `rtnl_mutex`, or the address."""
    try:
        symbol = lock.prog_.symbol(lock.value_())
    except LookupError:
        return f"{lock.value_():#x}"
    offset = lock.value_() - symbol.address
    return f"{symbol.name}+{offset:#x}" if offset else str(symbol.name)


def _state(kind: _Kind, lock: drgn.Object) -> str:
    """The state of a semaphore: if it is locked for reading, the owner is only the last reader."""
    try:
        if kind.name == "rwsem":
            return f" ({rwsem_locked(lock).name.lower().replace('_', '-')})"
    except (LookupError, AttributeError, drgn.FaultError):
        pass
    return ""
