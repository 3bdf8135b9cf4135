"""A server on loopback that takes PUTs, checks their SHA-256 when they name one, and throws them away.

`python -m bench.sink`, a process of its own, so that its time is not the client's. Prints its port.
"""

import base64
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

CHUNK_BYTES = 1024 * 1024


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    manifest = b""

    def do_PUT(self) -> None:
        expected = self.headers.get("x-amz-checksum-sha256")
        digest, body = hashlib.sha256(), b""
        left = int(self.headers["Content-Length"])
        is_manifest = urlsplit(self.path).path == "/manifest"
        while left:
            chunk = self.rfile.read(min(left, CHUNK_BYTES))
            left -= len(chunk)
            if expected:
                digest.update(chunk)
            if is_manifest:
                body += chunk
        if is_manifest:
            _Handler.manifest = body
        is_right = not expected or base64.b64encode(digest.digest()).decode() == expected
        self._answer(200 if is_right else 400, b"")

    def do_GET(self) -> None:
        self._answer(200, self.manifest)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
