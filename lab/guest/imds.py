"""The instance metadata service, version 2 only, of one guest: identity and nothing secret. On loopback."""

import json
import secrets
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 - the header's name
_TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
_MAX_TTL_SECONDS = 21600


@dataclass(frozen=True)
class Identity:
    """What the metadata service says of the instance."""

    instance_id: str = "i-0123456789abcdef0"
    instance_type: str = "t3.micro"
    architecture: str = "x86_64"
    availability_zone: str = "eu-west-1a"
    account_id: str = "123456789012"
    # 2026-11-30T17:11:57Z; "": unknown.
    launched_at: str = ""
    # As the instance reads it; "": it has none.
    user_data: str = ""

    @property
    def region(self) -> str:
        return self.availability_zone[:-1]


def documents(identity: Identity) -> dict[str, str]:
    """Path below /latest → body. No iam/ anywhere: the instance has no role."""
    return {
        "meta-data/instance-id": identity.instance_id,
        "meta-data/instance-type": identity.instance_type,
        "meta-data/local-ipv4": "10.0.2.15",
        "meta-data/placement/availability-zone": identity.availability_zone,
        "meta-data/placement/region": identity.region,
        "dynamic/instance-identity/document": json.dumps(
            {
                "accountId": identity.account_id,
                "architecture": identity.architecture,
                "availabilityZone": identity.availability_zone,
                "instanceId": identity.instance_id,
                "instanceType": identity.instance_type,
                "pendingTime": identity.launched_at,
                "region": identity.region,
            }
        ),
        **({"user-data": identity.user_data} if identity.user_data else {}),
    }


class MetadataService:
    """Serves until closed; `identity` may be replaced while it runs, as an instance id is often known late."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._token_ends: dict[str, float] = {}
        service = self

        class Handler(_Handler):
            metadata = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="imds", daemon=True).start()

    def new_token(self, ttl_seconds: int) -> str:
        token = secrets.token_urlsafe(32)
        self._token_ends[token] = time.monotonic() + ttl_seconds
        return token

    def is_valid(self, token: str) -> bool:
        return self._token_ends.get(token, 0) > time.monotonic()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    metadata: MetadataService

    def do_PUT(self) -> None:
        ttl = self.headers.get(_TTL_HEADER, "")
        if self.path != "/latest/api/token":
            self._answer(HTTPStatus.NOT_FOUND)
        elif not ttl.isdigit() or not 1 <= int(ttl) <= _MAX_TTL_SECONDS:
            self._answer(HTTPStatus.BAD_REQUEST)
        else:
            self._answer(HTTPStatus.OK, self.metadata.new_token(int(ttl)))

    def do_GET(self) -> None:
        if not self.metadata.is_valid(self.headers.get(_TOKEN_HEADER, "")):
            self._answer(HTTPStatus.UNAUTHORIZED)
            return
        body = documents(self.metadata.identity).get(self.path.removeprefix("/latest/"))
        if body is None:
            self._answer(HTTPStatus.NOT_FOUND)
        else:
            self._answer(HTTPStatus.OK, body)

    def _answer(self, status: HTTPStatus, body: str = "") -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: every read of the metadata would be a line on the demo's terminal."""
