"""A QMP connection to one QEMU process: commands, and the events that arrive between them. Knows nothing of guests."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.guest.deadline import Deadline, wait_until

Event = dict[str, Any]


class MonitorError(Exception):
    """QEMU refused a command, or went away while it was asked."""


class Monitor:
    """Thread-safe: one thread reads and hands out, any thread may execute or wait."""

    def __init__(self, socket_path: Path, *, timeout_seconds: float = 20) -> None:
        self._socket = _connect(socket_path, timeout_seconds)
        self._stream = self._socket.makefile("rb")
        self._changed = threading.Condition()
        self._replies: dict[int, dict[str, Any]] = {}
        self._events: list[Event] = []
        self._is_closed = False
        self._last_id = 0
        threading.Thread(target=self._read, name="qmp-reader", daemon=True).start()
        self.execute("qmp_capabilities")

    def execute(self, command: str, *, timeout_seconds: float = 30, **arguments: Any) -> Any:
        """The `return` of a QMP command; keyword names are QMP's, with _ for -. Raises MonitorError.

        The oldest commands have underscores in their own names and in those of their arguments.
        """
        is_old = "_" in command
        with self._changed:
            self._last_id += 1
            request_id = self._last_id
        request = {
            "execute": command,
            "id": request_id,
            "arguments": arguments if is_old else {k.replace("_", "-"): v for k, v in arguments.items()},
        }
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise MonitorError(f"QEMU is gone, cannot execute {command}: {error}") from error
        with self._changed:
            self._changed.wait_for(lambda: request_id in self._replies or self._is_closed, timeout_seconds)
            reply = self._replies.pop(request_id, None)
        if reply is None:
            raise MonitorError(f"QEMU did not answer {command} (closed: {self._is_closed})")
        if "error" in reply:
            raise MonitorError(f"{command}: {reply['error']['desc']}")
        return reply["return"]

    @property
    def event_count(self) -> int:
        """A mark to give to `wait_for_event` before causing the event."""
        return len(self._events)

    def events_since(self, mark: int, name: str) -> list[Event]:
        return [event for event in self._events[mark:] if event["event"] == name]

    def wait_for_event(
        self, name: str, *, since: int, timeout_seconds: float, matches: Callable[[Event], bool] = lambda _: True
    ) -> Event | None:
        """The first such event after the mark, or None when none comes in time or QEMU ends."""
        deadline = Deadline(timeout_seconds)
        with self._changed:
            while True:
                found = next((event for event in self.events_since(since, name) if matches(event)), None)
                if found or self._is_closed or deadline.is_over:
                    return found
                self._changed.wait(deadline.left_seconds)

    def close(self) -> None:
        # shutdown wakes the reader, which close alone would leave blocked.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _read(self) -> None:
        try:
            for line in self._stream:
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass  # a connection cut in the middle of a line: QEMU has ended
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        with self._changed:
            if "event" in message:
                self._events.append(message)
            elif "id" in message:
                self._replies[message["id"]] = message
            self._changed.notify_all()


def _connect(path: Path, timeout_seconds: float) -> socket.socket:
    def attempt() -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        return connection

    return wait_until(attempt, what=f"QEMU's monitor {path}", timeout_seconds=timeout_seconds, interval_seconds=0.05)
