"""Times as they cross a boundary: ISO-8601 UTC in whole seconds, and epoch seconds."""

from datetime import UTC, datetime


def now() -> datetime:
    """The one place where the clock is read; tests replace it."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """2026-11-23T04:00:00Z"""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(moment: datetime) -> str:
    """20261123T040000Z, which execution names and bucket keys can hold."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def epoch(moment: datetime) -> int:
    """Whole seconds since 1970."""
    return int(moment.timestamp())


def at_epoch(seconds: int) -> datetime:
    """The moment that many seconds after 1970 began."""
    return datetime.fromtimestamp(seconds, UTC)


def parse(text: str) -> datetime:
    """Any ISO-8601 time with an offset, such as CloudWatch's 2023-08-04T12:36:15.490+0000; raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no offset from UTC")
    return moment.astimezone(UTC)
