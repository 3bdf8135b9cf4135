"""What the tests of the S3 server share: its fixtures' bucket, refusals, curl."""

import base64
import hashlib
import subprocess
from pathlib import Path

from botocore.exceptions import ClientError

BUCKET = "vmcores"
KEY = "vmcores/1234/a key+ü"


def sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def code_of(error: ClientError) -> tuple[str, int]:
    """S3's code and the HTTP status."""
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def curl(url: str, *arguments: str, body: bytes | None = None) -> tuple[int, str]:
    """Status (0 without an answer) and body of the answer; with a body it is a PUT."""
    upload = [] if body is None else ["-H", "Expect:", "--upload-file", "-", "-H", f"Content-Length: {len(body)}"]
    upload += [] if body is None else ["-H", "Transfer-Encoding:"]
    done = subprocess.run(
        ["curl", "--silent", "--write-out", "\n%{http_code}", *upload, *arguments, url],
        input=body,
        capture_output=True,
        check=False,
        timeout=30,
    )
    text, _, status = done.stdout.decode().rpartition("\n")
    return int(status), text


def code_in(answer: str) -> str:
    """`<Code>` of an error."""
    return answer.partition("<Code>")[2].partition("</Code>")[0]


def files_in(directory: Path) -> list[Path]:
    """What a server keeps."""
    return [path for path in directory.rglob("*") if path.is_file()]
