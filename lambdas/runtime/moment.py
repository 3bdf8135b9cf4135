"""Converts times to and from text and epoch seconds; always UTC, in whole seconds."""

from datetime import UTC, datetime

# How far the guest's clock, which dates its boot and its vmcore, may be behind AWS' clock.
CLOCK_SLACK_SECONDS = 60


def now() -> datetime:
    """Reads the clock. Nothing else does, so tests can replace it."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """2026-11-23T04:00:00Z"""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(moment: datetime) -> str:
    """20261123T040000Z, for execution names and bucket keys."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def epoch(moment: datetime) -> int:
    """Whole seconds since 1970."""
    return int(moment.timestamp())


def at_epoch(seconds: int) -> datetime:
    """The reverse of epoch(). Raises ValueError for what is no date, such as one after the year 9999."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds} s since 1970 is no date") from error


def parse(text: str) -> datetime:
    """Parses an ISO-8601 time with an offset, such as 2023-08-04T12:36:15.490+0000. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no offset from UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        # 0001-01-01T00:00:00+01:00
        raise ValueError(f"{text} is no time in UTC") from error


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
