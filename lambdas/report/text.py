"""Numbers as people read them: durations, sizes, times. Pure."""

import re
import shlex
from datetime import datetime
from urllib.parse import quote

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def duration(seconds: float) -> str:
    """< 1 s · 54 s · 1 min 54 s · 2 h 3 min · 4 d 5 h"""
    if seconds < 1:
        return "< 1 s"
    whole = round(seconds)
    for unit, size, smaller, smaller_size in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def size(count: float) -> str:
    """512 bytes · 29.5 MiB · 118 MiB · 1.2 TiB"""
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    digits = 0 if unit == 0 or value >= 100 else 1
    return f"{value:.{digits}f} {_UNITS[unit]}"


def exact(count: int) -> str:
    """30 921 973, grouped by narrow no-break spaces."""
    return f"{count:,}".replace(",", "\u202f")


def day(at: datetime | None) -> str:
    """23 November 2026"""
    return f"{at.day} {at:%B %Y}" if at else ""


def clock(at: datetime | None) -> str:
    """05:53:28"""
    return f"{at:%H:%M:%S}" if at else ""


def day_and_clock(at: datetime | None) -> str:
    """2026-11-23 05:53"""
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


# eu-central-1
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]+")
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


def file_name(key: str) -> str:
    """The last part of a key, with `before/`: `before/console.txt` is not `console.txt`."""
    folder, _, name = key.rpartition("/")
    return f"before/{name}" if folder.endswith("/before") else name


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


def argument(text: str) -> str:
    """Quotes the text as one word of a shell."""
    return shlex.quote(text)


# Documentation/admin-guide/tainted-kernels.rst; G only says that no module is proprietary.
_TAINTS = {
    "P": "proprietary module",
    "F": "module loaded by force",
    "S": "CPU out of specification",
    "R": "module unloaded by force",
    "M": "machine check before",
    "B": "bad page before",
    "U": "by user space",
    "D": "oops before",
    "A": "ACPI table overridden",
    "W": "warning before",
    "C": "staging driver",
    "I": "firmware bug worked around",
    "O": "out-of-tree module",
    "E": "unsigned module",
    "L": "soft lockup before",
    "K": "live patch",
    "X": "of the distribution",
    "T": "randomised structures",
    "N": "kernel test",
    "J": "firmware control",
}


def taint_in_words(taint: str) -> str:
    """G D OE: oops before, out-of-tree module, unsigned module"""
    words = [_TAINTS[letter] for letter in taint if letter in _TAINTS] if not taint.startswith("Not") else []
    return f"{' '.join(taint.split())}: {', '.join(words)}" if words else taint
