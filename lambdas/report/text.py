"""Numbers as people read them: durations, sizes, times. Pure."""

import shlex
from datetime import datetime

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


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


def file_name(key: str) -> str:
    """The last part of a key, with `before/`: `before/console.txt` is not `console.txt`."""
    folder, _, name = key.rpartition("/")
    return f"before/{name}" if folder.endswith("/before") else name


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
