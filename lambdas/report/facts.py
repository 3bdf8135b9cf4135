"""Typed access to an incident as JSON. Parts may be absent or of another type: the page shows the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lambdas.incident.record import Verdict
from lambdas.runtime import moment


@dataclass(frozen=True)
class Facts:
    """incident.json, or a record of the incident table."""

    given: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A text, or ""."""
        value = self.given.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """A number, or None; a boolean is no number."""
        value = self.given.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        # Larger than any size or time; the comparison is false for NaN.
        return value if abs(value) < 1e18 else None

    def whole(self, name: str) -> int | None:
        """A number without its fraction."""
        value = self.number(name)
        return None if value is None else int(value)

    def part(self, name: str) -> "Facts":
        """An object, or an empty one."""
        value = self.given.get(name)
        return Facts(value if isinstance(value, Mapping) else {})

    def parts(self, name: str) -> "list[Facts]":
        """The objects of a list."""
        return [Facts(each) for each in self._list(name) if isinstance(each, Mapping)]

    def texts(self, name: str) -> list[str]:
        """The texts of a list."""
        return [each for each in self._list(name) if isinstance(each, str)]

    def time(self, name: str) -> datetime | None:
        """A time with an offset, or None."""
        try:
            return moment.parse(self.text(name))
        except (ValueError, OverflowError):
            return None

    def _list(self, name: str) -> Sequence[Any]:
        value = self.given.get(name)
        return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


@dataclass(frozen=True)
class Headline:
    """`tone` is good, warn, bad or quiet, and colours the page."""

    sentence: str
    tone: str


_HEADLINES = {
    Verdict.CAPTURED: Headline("The vmcore is in S3, complete and verified.", "good"),
    Verdict.RESCUED: Headline("The instance did not come back; its vmcore was rescued from the dump volume.", "good"),
    Verdict.INCOMPLETE: Headline("The kernel crashed, but the crash kernel did not finish the vmcore.", "warn"),
    Verdict.PANIC_NO_DUMP: Headline("The kernel crashed, but wrote no vmcore.", "bad"),
    Verdict.NO_PANIC: Headline("The interrupt was sent, but the kernel did not panic.", "bad"),
    Verdict.UNSUPPORTED: Headline("EC2 cannot interrupt this type of instance, so nothing was sent.", "quiet"),
    Verdict.REFUSED: Headline("The instance was not interrupted: a safety rule refused.", "quiet"),
    Verdict.FAILED: Headline("The collection failed before it had a vmcore.", "bad"),
}
_UNDER_WAY = Headline("This incident is under way.", "warn")


def headline(verdict: str) -> Headline:
    """The headline of a verdict; any other text means an incident under way."""
    return _HEADLINES.get(Verdict(verdict), _UNDER_WAY) if verdict in set(Verdict) else _UNDER_WAY
