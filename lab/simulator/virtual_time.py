"""Puts the scheduler's time and activities in the place of the real ones, in the modules that the engine runs.

Only there: pytest and the like keep their clock. A module that is imported later keeps the real time, so whoever
enters imports first.
"""

import datetime as real_datetime
import sys
import threading as real_threading
import time as real_time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as real_wait
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from lab.simulator.scheduler import Signal, VirtualThread, scheduler

_RUN_BY_THE_ENGINE = ("lambdas", "lab.", "moto.", "aws_lambda_powertools", "botocore.")
_ENGINE = "lab.simulator"


class _InstanceOfReal(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, real_datetime.datetime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, real_datetime.datetime)


class VirtualDatetime(real_datetime.datetime, metaclass=_InstanceOfReal):
    """datetime.datetime whose present is the scheduler's."""

    @classmethod
    def now(cls, tz: real_datetime.tzinfo | None = None) -> Any:
        return real_datetime.datetime.fromtimestamp(scheduler.now, tz or real_datetime.UTC).replace(tzinfo=tz)

    @classmethod
    def utcnow(cls) -> Any:
        return real_datetime.datetime.fromtimestamp(scheduler.now, real_datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.utcnow()


class _InlineExecutor:
    """ThreadPoolExecutor that does the work when it is handed in: one thing after the other."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> "_InlineExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Any, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(self, work: Any, *iterables: Any, timeout: float | None = None) -> Iterator[Any]:
        return iter([work(*each) for each in zip(*iterables, strict=False)])

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass


def _module(real: ModuleType, **replaced: Any) -> ModuleType:
    virtual = ModuleType(real.__name__)
    vars(virtual).update({name: value for name, value in vars(real).items() if not name.startswith("__")})
    vars(virtual).update(replaced)
    return virtual


_TIME = _module(
    real_time,
    time=lambda: scheduler.now,
    monotonic=lambda: scheduler.now,
    perf_counter=lambda: scheduler.now,
    sleep=scheduler.sleep,
)
_THREADING = _module(real_threading, Thread=VirtualThread, Event=Signal)
_DATETIME = _module(real_datetime, datetime=VirtualDatetime)
_REPLACED: list[tuple[Any, Any]] = [
    (real_time, _TIME),
    (real_time.time, _TIME.time),
    (real_time.sleep, scheduler.sleep),
    (real_time.monotonic, _TIME.monotonic),
    (real_threading, _THREADING),
    (real_threading.Thread, VirtualThread),
    (real_threading.Event, Signal),
    (real_datetime, _DATETIME),
    (real_datetime.datetime, VirtualDatetime),
    (ThreadPoolExecutor, _InlineExecutor),
    # Inline, all is done by the time that anybody waits.
    (real_wait, lambda futures, **_: (set(futures), set())),
]


@contextmanager
def virtual_time() -> Iterator[None]:
    """For as long as it is entered."""
    undo: list[tuple[ModuleType, str, Any]] = []
    by_id = {id(real): virtual for real, virtual in _REPLACED}
    for name, module in list(sys.modules.items()):
        if not name.startswith(_RUN_BY_THE_ENGINE) or name.startswith(_ENGINE) or not isinstance(module, ModuleType):
            continue
        for attribute, value in list(vars(module).items()):
            if id(value) in by_id:
                undo.append((module, attribute, value))
                setattr(module, attribute, by_id[id(value)])
    try:
        yield
    finally:
        for module, attribute, value in undo:
            setattr(module, attribute, value)
