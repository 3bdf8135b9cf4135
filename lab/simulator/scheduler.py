"""Many activities in one thread, in time that passes only when all of them wait: greenlets in the place of threads.

Owns the order of what happens, which is the same in each run, and the time. Knows nothing of what the activities do.
"""

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from greenlet import getcurrent, greenlet

# Not a whole second: the time at which the interpreter enters a state would have another form then.
START = datetime(2026, 11, 23, 4, 0, 0, 123_456, tzinfo=UTC).timestamp()


class Killed(BaseException):
    """The process that this activity was part of has died. No Exception, so that nothing handles it."""


class Activity:
    """Stands where threading.Thread would; ends for good when it is killed."""

    def __init__(self, target: Callable[..., Any], *args: Any) -> None:
        self.is_over = False
        self.is_killed = False
        # What its calls are told to be part of; handed down to the activities that it begins.
        self.context: dict[str, Any] = {}
        self.waits_for: Signal | None = None
        self.ended = Signal()
        self._target, self._args = target, args
        self.greenlet = greenlet(self._run)

    def _run(self) -> None:
        try:
            self._target(*self._args)
        except Killed:
            pass
        finally:
            self.is_over = True
            self.ended.set()

    def kill(self) -> None:
        """It goes no further than where it waits now."""
        self.is_killed = True
        if self.waits_for is not None:
            self.waits_for.waiting.remove(self)
        scheduler.wake(self)


class Signal:
    """Stands where threading.Event would."""

    def __init__(self) -> None:
        self.waiting: list[Activity] = []
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        for activity in self.waiting:
            scheduler.wake(activity)
        self.waiting = []

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            scheduler.wait(self, timeout)
        return self._is_set


class Scheduler:
    """`now` is the time; `run` lets the others go on until something is true."""

    def __init__(self) -> None:
        self.now = START
        self.context: dict[str, Any] = {}
        # (when, order, activity, how often it had waited): a waker that comes second finds the count changed.
        self._queue: list[tuple[float, int, Activity, int]] = []
        self._order = itertools.count()
        self._waits: dict[int, int] = {}
        self._activities: dict[greenlet, Activity] = {}
        self.crashes: list[BaseException] = []

    def spawn(self, target: Callable[..., Any], *args: Any) -> Activity:
        activity = Activity(self._guarded(target), *args)
        activity.context = dict(self.current_context())
        self._activities[activity.greenlet] = activity
        self._push(activity, self.now)
        return activity

    def current(self) -> Activity | None:
        """The activity that runs, None for whoever called `run`."""
        return self._activities.get(getcurrent())

    def current_context(self) -> dict[str, Any]:
        activity = self.current()
        return self.context if activity is None else activity.context

    def check_alive(self) -> None:
        """What is killed must reach nothing any more, not even while it unwinds."""
        activity = self.current()
        if activity is not None and activity.is_killed:
            raise Killed

    def sleep(self, seconds: float) -> None:
        self.check_alive()
        activity = self.current()
        if activity is None:
            self.run(until=lambda: False, seconds=seconds)
            return
        self._push(activity, self.now + max(0.0, seconds))
        self._yield(activity)

    def wait(self, signal: Signal, timeout: float | None) -> None:
        self.check_alive()
        activity = self.current()
        if activity is None:
            self.run(until=signal.is_set, seconds=timeout)
            return
        signal.waiting.append(activity)
        if timeout is not None:
            self._push(activity, self.now + max(0.0, timeout))
        activity.waits_for = signal
        try:
            self._yield(activity)
        finally:
            activity.waits_for = None
            if activity in signal.waiting:
                signal.waiting.remove(activity)

    def wake(self, activity: Activity) -> None:
        self._push(activity, self.now)

    def run(self, *, until: Callable[[], bool], seconds: float | None) -> bool:
        """Whether it became true within the time; the rest waits for the next run."""
        deadline = None if seconds is None else self.now + seconds
        while not until():
            if not self._queue or (deadline is not None and self._queue[0][0] > deadline):
                if deadline is not None:
                    self.now = max(self.now, deadline)
                return until()
            when, _, activity, waits = heapq.heappop(self._queue)
            if activity.is_over or waits != self._waits.get(id(activity), 0):
                continue
            self.now = max(self.now, when)
            self._waits[id(activity)] = waits + 1
            activity.greenlet.parent = getcurrent()
            activity.greenlet.switch()
            if self.crashes:
                raise self.crashes.pop()
        return True

    def _yield(self, activity: Activity) -> None:
        parent = activity.greenlet.parent
        assert parent is not None
        parent.switch()
        self.check_alive()

    def _push(self, activity: Activity, when: float) -> None:
        waits = self._waits.get(id(activity), 0)
        heapq.heappush(self._queue, (when, next(self._order), activity, waits))

    def _guarded(self, target: Callable[..., Any]) -> Callable[..., Any]:
        """An activity that raises is a mistake of the engine's: it ends the run."""

        def guarded(*args: Any) -> None:
            try:
                target(*args)
            except Exception as error:
                self.crashes.append(error)

        return guarded


scheduler = Scheduler()


class VirtualThread:
    """threading.Thread, as far as moto's interpreter uses it."""

    def __init__(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        name: str = "",
        daemon: bool = True,
    ) -> None:
        self.name, self.daemon = name, daemon
        self._target, self._args, self._kwargs = target, args, kwargs or {}
        self._activity: Activity | None = None

    def start(self) -> None:
        self._activity = scheduler.spawn(lambda: self._target(*self._args, **self._kwargs))

    def is_alive(self) -> bool:
        return self._activity is not None and not self._activity.is_over

    def join(self, timeout: float | None = None) -> None:
        assert self._activity is not None
        self._activity.ended.wait(timeout)
