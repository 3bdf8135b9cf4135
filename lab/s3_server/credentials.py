"""Whose signatures the server accepts."""

from dataclasses import dataclass

REGION = "us-east-1"


@dataclass(frozen=True)
class Credentials:
    """One access key; with a session token, every request has to carry it."""

    access_key_id: str = "AKIDHANGDUMPLAB00000"
    secret_access_key: str = "hangdump/lab+secret"  # noqa: S105 - opens nothing but this server
    session_token: str | None = None
