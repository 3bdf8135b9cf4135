"""A bucket on loopback: checks the signed digest as S3 does, and misbehaves when told to."""

import base64
import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Bucket:
    """`misbehave[path]` is a list of what the next requests for that path get: an HTTP status, or "cut"."""

    url: str
    objects: dict[str, bytes] = field(default_factory=dict)
    misbehave: dict[str, list[int | str]] = field(default_factory=lambda: defaultdict(list))
    requests: list[tuple[str, str]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    most_at_once: int = 0
    meeting: threading.Barrier | None = None  # PUTs to these paths wait here for each other
    meets_at: tuple[str, ...] = ("/part",)
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def entered(self, method: str, path: str) -> int | str | None:
        """Note a request; what it is to get instead of success."""
        with self._lock:
            self.requests.append((method, path))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return self.misbehave[path].pop(0) if self.misbehave[path] else None

    def left(self) -> None:
        """Note the end of a request."""
        with self._lock:
            self._at_once -= 1

    def store(self, path: str, body: bytes) -> None:
        """Keep what arrived whole."""
        with self._lock:
            self.objects[path] = body
            self.order.append(path)


@contextmanager
def serve_bucket() -> Iterator[Bucket]:
    """A bucket that lives as long as the context."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    bucket = Bucket(url=f"http://127.0.0.1:{server.server_port}")
    server.bucket = bucket  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    @property
    def _bucket(self) -> Bucket:
        bucket: Bucket = self.server.bucket  # type: ignore[attr-defined]
        return bucket

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        told = self._bucket.entered("GET", path)
        body = self._bucket.objects.get(path, b"")
        self._answer(told if isinstance(told, int) else 200 if body else 404, body)
        self._bucket.left()

    def do_PUT(self) -> None:
        path = self.path.split("?")[0]
        told = self._bucket.entered("PUT", path)
        try:
            if told == "cut":
                self.rfile.read(1000)
                self.connection.close()
                return
            if "Content-Length" not in self.headers or "Transfer-Encoding" in self.headers:
                self._answer(411)  # S3 takes no chunked upload to a presigned URL
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self._bucket.meeting and path.startswith(self._bucket.meets_at):
                self._bucket.meeting.wait(timeout=60)
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            if isinstance(told, int):
                self._answer(told)
            elif self.headers.get("x-amz-checksum-sha256", digest) != digest:
                self._answer(400)
            else:
                self._bucket.store(path, body)
                self._answer(200)
        finally:
            self._bucket.left()

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""
