"""What happened in the emulated account, in order, for a live timeline. Owns the record; prints nothing itself."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Event:
    """One thing that happened: `source` is a service ("ec2", "ssm", …), `subject` what it happened to.

    `result` is what a function answered, None for everything else.
    """

    time: datetime
    source: str
    subject: str
    text: str
    result: Any = None


Listener = Callable[[Event], None]


class EventStream:
    """A thread-safe list that also calls its listeners, in order, one event at a time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._events: list[Event] = []
        self._listeners: list[Listener] = []
        self._grown = threading.Condition(self._lock)

    def listen(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.append(listener)

    def emit(self, source: str, subject: str, text: str, *, result: Any = None) -> None:
        with self._lock:
            event = Event(datetime.now(UTC), source, subject, text, result)
            self._events.append(event)
            for listener in self._listeners:
                listener(event)
            self._grown.notify_all()

    def all(self) -> list[Event]:
        with self._lock:
            return list(self._events)

    def matching(self, source: str, fragment: str = "") -> list[Event]:
        return [event for event in self.all() if event.source == source and fragment in f"{event.subject} {event.text}"]

    def wait_for(self, source: str, fragment: str, *, timeout_seconds: float) -> Event:
        """The first event that matches, past or future; TimeoutError names what was waited for."""
        with self._grown:
            if not self._grown.wait_for(lambda: self.matching(source, fragment), timeout_seconds):
                raise TimeoutError(f"no {source} event holding {fragment!r} within {timeout_seconds} s")
            return self.matching(source, fragment)[0]
