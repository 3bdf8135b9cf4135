"""Sessions of assumed roles: their keys and how long they live. presigned.py holds what a session lets a URL do."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from moto.sts.exceptions import STSValidationError
from moto.sts.models import AssumedRole, STSBackend

from lab.aws.patches import Patches
from lab.aws.presigned import Session
from lab.aws.state import AccountState, utc_now

# Whoever assumes a role in the lab is a role itself: a function's.
ROLE_CHAINING_SECONDS = 3600


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
            state.sessions[role.access_key_id] = Session(
                utc_now() + timedelta(seconds=given["duration"]), policy, given["role_arn"]
            )
            return role

        return assume_role

    patches.replace(STSBackend, "assume_role", make)
