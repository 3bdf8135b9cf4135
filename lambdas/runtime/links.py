"""Where people find an object of the bucket. Pure."""

import re
from urllib.parse import quote

# eu-central-1
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]+")
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


def uri(bucket: str, key: str) -> str:
    """s3://bucket/key, or "" when one of them is unknown."""
    return f"s3://{bucket}/{key}" if bucket and key else ""


def console_link(*, bucket: str, region: str, key: str) -> str:
    """The object's page in the console; "" if a part is unknown or the Region is invalid."""
    if not bucket or not key or not _REGION.fullmatch(region):
        return ""
    domain = next((name for start, name in _CONSOLES.items() if region.startswith(start)), "console.aws.amazon.com")
    path = f"s3/object/{quote(bucket, safe='', errors='replace')}"
    return f"https://{region}.{domain}/{path}?region={region}&prefix={quote(key, safe='', errors='replace')}"
