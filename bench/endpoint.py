"""The S3 server for all clients of a run, in a process of its own, so that its CPU time is not counted as theirs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lab.s3_server import Credentials
from lab.s3_server.client import s3_client
from lab.s3_server.credentials import REGION

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "vmcores"


@dataclass(frozen=True)
class Endpoint:
    """The server's address and credentials."""

    url: str
    credentials: Credentials

    @cached_property
    def s3(self) -> "S3Client":
        """For planning an upload, never for a measured client. Created once, as in a warm function."""
        return s3_client(self.url, self.credentials, request_checksum_calculation="when_required")

    @property
    def environment(self) -> dict[str, str]:
        """Credentials as the AWS SDKs read them."""
        return {
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }


@contextmanager
def serving(*, answer_seconds: float = 0.0) -> Iterator[Endpoint]:
    """Starts the server; it verifies everything and stores no large objects. Each answer takes so long on its way."""
    arguments = [sys.executable, "-m", "lab.s3_server", "--bucket", BUCKET, "--discard"]
    arguments += ["--answer-seconds", str(answer_seconds)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101 - PIPE was asked for
        try:
            yield Endpoint(f"http://127.0.0.1:{server.stdout.readline().strip()}", Credentials())
        finally:
            server.kill()
