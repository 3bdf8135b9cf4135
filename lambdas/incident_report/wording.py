"""Numbers as people read them: durations, sizes, times. Pure."""

from datetime import datetime

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
    """30 921 973, grouped by narrow spaces that do not break."""
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
