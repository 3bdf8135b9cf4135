"""Listens on loopback and gives each connection a thread."""

import contextlib
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from lab.s3_server.connection import Account, Connection
from lab.s3_server.credentials import REGION, Credentials
from lab.s3_server.faults import FaultPlan
from lab.s3_server.store import Store

RECEIVE_BUFFER_BYTES = 4 * 1024**2
SMALLEST_PART_BYTES = 5 * 1024**2  # S3's own; the last part may be smaller


def _utc_now() -> datetime:
    return datetime.now(UTC)


class S3Server:
    """In-process; `python -m lab.s3_server` is the same as a process of its own.

    `faults` takes what is to go wrong; `requests` holds the last (operation, path, status) served; `now` is the
    server's clock.
    """

    def __init__(
        self,
        *buckets: str,
        credentials: Credentials | None = None,
        directory: Path | None = None,
        port: int = 0,
        is_discarding: bool = False,
        smallest_part_bytes: int = SMALLEST_PART_BYTES,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.credentials = credentials or Credentials()
        self.faults = FaultPlan()
        self.requests: deque[tuple[str, str, int]] = deque(maxlen=10_000)
        self._own_directory = None if directory else tempfile.TemporaryDirectory(prefix="s3-server-")
        self.store = Store(
            directory or Path(self._own_directory.name if self._own_directory else ""),
            buckets,
            is_discarding=is_discarding,
        )
        self._account = Account(
            self.store,
            {self.credentials.access_key_id: self.credentials},
            REGION,
            smallest_part_bytes,
            self.faults,
            now,
            lambda *served: self.requests.append(served),
        )
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        # Inherited by the connections; set before listening would be too late for their window.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "S3Server":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def serve_forever(self) -> None:
        """Until `stop`."""
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._clients.add(client)
        try:
            Connection(client, self._account).serve()
        finally:
            with self._lock:
                self._clients.discard(client)

    def stop(self) -> None:
        """Hang up on everyone, drop what is held."""
        # close alone does not wake up a thread in accept
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        if self._own_directory is not None:
            self._own_directory.cleanup()
