"""A client of qemu-guest-agent over its virtio-serial socket. Owns the synchronisation, not what is run."""

import base64
import json
import random
import socket
import threading
from pathlib import Path
from typing import Any

from lab.guest.deadline import Deadline

# The agent writes this byte before the reply to guest-sync-delimited, and resets its parser when it reads it.
_DELIMITER = b"\xff"
_LOG = "/var/log/agent-of-the-lab.log"
_LINE = base64.b64encode(b"still here\n").decode()


class AgentSilent(Exception):
    """No reply in the time given: hung, booting, off, or the agent is not running."""


class AgentError(Exception):
    """The agent replied with an error."""


class GuestAgent:
    """Thread-safe, one exchange at a time. Every connection starts with a synchronisation.

    A request that times out costs the connection: QEMU drops with it what the guest has not yet taken, so that a
    hung guest does not find and execute old requests after its reset.
    """

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._buffer = b""

    def ping(self, timeout_seconds: float) -> None:
        """Raises AgentSilent."""
        self.request("guest-ping", timeout_seconds=timeout_seconds)

    def write_log(self, timeout_seconds: float) -> None:
        """A line in a file of its own. Raises AgentSilent, or AgentError when it cannot write."""
        deadline = Deadline(timeout_seconds)

        def ask(command: str, **arguments: Any) -> Any:
            return self.request(command, timeout_seconds=deadline.left_seconds, **arguments)

        handle = ask("guest-file-open", path=_LOG, mode="a")
        ask("guest-file-write", handle=handle, buf_b64=_LINE)
        ask("guest-file-close", handle=handle)

    def request(self, command: str, *, timeout_seconds: float, **arguments: Any) -> Any:
        """The `return` of an agent command; keyword names are the agent's, with _ for -."""
        deadline = Deadline(timeout_seconds)
        if not self._lock.acquire(timeout=timeout_seconds):
            raise AgentSilent(f"{command}: another request waits for the guest agent")
        try:
            if self._socket is None:
                self._synchronise(deadline)
            reply = self._exchange(command, arguments, deadline)
        except OSError as error:  # TimeoutError is one
            self._drop()
            raise AgentSilent(f"{command}: no reply from the guest agent ({error or type(error).__name__})") from error
        finally:
            self._lock.release()
        if "error" in reply:
            raise AgentError(f"{command}: {reply['error'].get('desc', reply['error'])}")
        return reply["return"]

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _synchronise(self, deadline: Deadline) -> None:
        self._drop()
        self._socket = socket.socket(socket.AF_UNIX)
        self._connected(deadline).connect(str(self._path))
        token = random.getrandbits(31)
        request = {"execute": "guest-sync-delimited", "arguments": {"id": token}}
        self._connected(deadline).sendall(_DELIMITER + json.dumps(request).encode() + b"\n")
        while True:
            self._read_past(_DELIMITER, deadline)
            if json.loads(self._read_past(b"\n", deadline)).get("return") == token:
                return

    def _exchange(self, command: str, arguments: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        request: dict[str, Any] = {"execute": command}
        if arguments:
            request["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._connected(deadline).sendall(json.dumps(request).encode() + b"\n")
        reply: dict[str, Any] = json.loads(self._read_past(b"\n", deadline))
        return reply

    def _read_past(self, mark: bytes, deadline: Deadline) -> bytes:
        """What comes before the mark, which is consumed."""
        while mark not in self._buffer:
            if deadline.is_over:
                raise TimeoutError
            chunk = self._connected(deadline).recv(1 << 20)
            if not chunk:
                raise ConnectionResetError("QEMU closed the connection")
            self._buffer += chunk
        before, _, self._buffer = self._buffer.partition(mark)
        return before

    def _connected(self, deadline: Deadline) -> socket.socket:
        """The socket, with what is left of the time as its time-out."""
        if self._socket is None:
            raise ConnectionResetError("not connected")
        self._socket.settimeout(max(deadline.left_seconds, 0.01))
        return self._socket

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._buffer = b""
