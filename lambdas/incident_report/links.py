"""Where an object of the bucket is seen: its URI for commands, its page in the S3 console for people who are signed in.

Links between reports go through the console: one that was opened by a presigned URL may read that one object alone.
"""

import re
import shlex
from urllib.parse import quote

# eu-central-1
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]+")
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


def file_name(key: str) -> str:
    """The last part of a key; `before/console.txt` is another one than `console.txt`."""
    folder, _, name = key.rpartition("/")
    return f"before/{name}" if folder.endswith("/before") else name


def uri(bucket: str, key: str) -> str:
    """s3://bucket/key, or "" when one of them is unknown."""
    return f"s3://{bucket}/{key}" if bucket and key else ""


def console_link(*, bucket: str, region: str, key: str) -> str:
    """The object's page in the console; "" when one of them is unknown or the Region is none."""
    if not bucket or not key or not _REGION.fullmatch(region):
        return ""
    domain = next((name for start, name in _CONSOLES.items() if region.startswith(start)), "console.aws.amazon.com")
    path = f"s3/object/{quote(bucket, safe='', errors='replace')}"
    return f"https://{region}.{domain}/{path}?region={region}&prefix={quote(key, safe='', errors='replace')}"


def argument(text: str) -> str:
    """As a shell takes it for one word, whatever it holds."""
    return shlex.quote(text)
