"""Sessions of assumed roles: their keys, how long they live, and what their session policy lets a presigned URL do."""

import fnmatch
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.sts.exceptions import STSValidationError
from moto.sts.models import AssumedRole, STSBackend

from lab.aws.patches import Patches
from lab.aws.presigned import Refusal, Request
from lab.aws.state import AccountState, utc_now

# Whoever assumes a role in the lab is a role itself: a function's.
ROLE_CHAINING_SECONDS = 3600
_ACTIONS = {"PUT": "s3:PutObject", "GET": "s3:GetObject", "HEAD": "s3:GetObject"}


@dataclass(frozen=True)
class Session:
    """What remains of a role that was assumed."""

    expires_at: datetime
    policy: Mapping[str, Any] | None

    def refusal(self, request: Request, *, now: datetime) -> Refusal | None:
        """None when this session may do what the request asks."""
        if now > self.expires_at:
            return Refusal("ExpiredToken", "The provided token has expired.")
        action, resource = (
            _ACTIONS.get(request.method, "s3:Unknown"),
            f"arn:aws:s3:::{unquote(request.path.lstrip('/'))}",
        )
        if self.policy is None or any(_allows(each, action, resource) for each in self.policy["Statement"]):
            return None
        return Refusal("AccessDenied", f"no session policy allows the {action} action on {resource}")


def install(patches: Patches, state: AccountState) -> None:
    """Real: an hour at most for a role that assumes a role; URLs end with the session. moto: neither."""

    def make(original: Callable[..., AssumedRole]) -> Callable[..., AssumedRole]:
        def assume_role(backend: STSBackend, **given: Any) -> AssumedRole:
            if given["duration"] > ROLE_CHAINING_SECONDS:
                raise STSValidationError(
                    "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
                )
            role = original(backend, **given)
            policy = json.loads(given["policy"]) if given["policy"] else None
            state.secrets[role.access_key_id] = role.secret_access_key
            state.sessions[role.access_key_id] = Session(utc_now() + timedelta(seconds=given["duration"]), policy)
            return role

        return assume_role

    patches.replace(STSBackend, "assume_role", make)


def session_refusal(request: Request, sessions: Mapping[str, Session], *, now: datetime) -> Refusal | None:
    """For a request whose signature is right already."""
    key_id = parse_qs(request.query)["X-Amz-Credential"][0].split("/")[0]
    session = sessions.get(key_id)
    return session.refusal(request, now=now) if session else None


def _allows(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    return (
        statement["Effect"] == "Allow"
        and action in _as_list(statement["Action"])
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in _as_list(statement["Resource"]))
    )


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
