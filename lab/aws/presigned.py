"""Verifies presigned S3 requests as S3 does: signature, then the session that signed. Pure; owns no object."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from lab.s3_server import signature
from lab.s3_server.credentials import Credentials
from lab.s3_server.errors import S3Error
from lab.s3_server.request import Request as Arrived


@dataclass(frozen=True)
class Refusal:
    """S3's answer to a presigned request that it does not accept; always 403."""

    code: str
    message: str


@dataclass(frozen=True)
class Request:
    """What arrived: `path` and `query` raw, as sent; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Session:
    """What remains of a role that was assumed; what it may do, iam/enforcement.py decides."""

    expires_at: datetime
    policy: Mapping[str, Any] | None
    role_arn: str

    def refusal(self, *, now: datetime) -> Refusal | None:
        """None while it lives."""
        return Refusal("ExpiredToken", "The provided token has expired.") if now > self.expires_at else None


def is_presigned(query: str) -> bool:
    return "X-Amz-Signature=" in query


def verify(request: Request, secrets: Mapping[str, str], *, now: datetime) -> Refusal | None:
    """None when S3 would go on with the request. Region and session token are taken as the request says them."""
    params = dict(parse_qsl(request.query, keep_blank_values=True))
    # AKIA…/20261123/eu-central-1/s3/aws4_request
    key_id, _, region, *_ = [*params.get("X-Amz-Credential", "").split("/"), "", ""]
    token = params.get("X-Amz-Security-Token")
    accepted = {key_id: Credentials(key_id, secrets[key_id], token)} if key_id in secrets else {}
    arrived = Arrived(request.method, request.path, request.query, tuple(request.headers.items()))
    try:
        signature.authenticate(arrived, accepted, region=region, now=now)
    except S3Error as error:
        return Refusal(error.code, error.message)
    return None


def session_refusal(request: Request, sessions: Mapping[str, Session], *, now: datetime) -> Refusal | None:
    """For a request whose signature is right already."""
    session = session_of(request, sessions)
    return session.refusal(now=now) if session else None


def session_of(request: Request, sessions: Mapping[str, Session]) -> Session | None:
    """The session whose key signed; None: a user's key."""
    return sessions.get(parse_qs(request.query)["X-Amz-Credential"][0].split("/")[0])
