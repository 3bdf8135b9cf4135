"""Typed access to an incident as JSON, whose parts may be absent or of another type: what is there is drawn."""

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
        """ "" when there is none."""
        value = self.given.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """None when there is none; a boolean is no number."""
        value = self.given.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        # Larger than any size or time there is; false for what is no number at all.
        return value if abs(value) < 1e18 else None

    def whole(self, name: str) -> int | None:
        """A number without its fraction."""
        value = self.number(name)
        return None if value is None else int(value)

    def part(self, name: str) -> "Facts":
        """An object in it; empty when there is none."""
        value = self.given.get(name)
        return Facts(value if isinstance(value, Mapping) else {})

    def parts(self, name: str) -> "list[Facts]":
        """The objects of a list."""
        return [Facts(each) for each in self._list(name) if isinstance(each, Mapping)]

    def texts(self, name: str) -> list[str]:
        """The texts of a list."""
        return [each for each in self._list(name) if isinstance(each, str)]

    def time(self, name: str) -> datetime | None:
        """None for what is no time with an offset."""
        try:
            return moment.parse(self.text(name))
        except (ValueError, OverflowError):
            return None

    def _list(self, name: str) -> Sequence[Any]:
        value = self.given.get(name)
        return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


@dataclass(frozen=True)
class Headline:
    """`tone` is good, warn, bad or quiet: what the page is coloured by."""

    sentence: str
    tone: str


_HEADLINES = {
    Verdict.CAPTURED: Headline("The kernel's memory is captured: its vmcore is in S3, complete and identical.", "good"),
    Verdict.RESCUED: Headline("The instance did not come back; its vmcore was rescued from the dump volume.", "good"),
    Verdict.INCOMPLETE: Headline("The kernel crashed, and the crash kernel did not finish its vmcore.", "warn"),
    Verdict.PANIC_NO_DUMP: Headline("The kernel crashed, and left no vmcore.", "bad"),
    Verdict.NO_PANIC: Headline("The interrupt was sent, and the kernel did not panic.", "bad"),
    Verdict.UNSUPPORTED: Headline("This kind of instance takes no diagnostic interrupt: it was left alone.", "quiet"),
    Verdict.REFUSED: Headline("The instance was not interrupted: the gate refused.", "quiet"),
    Verdict.FAILED: Headline("The collection stopped before there was a vmcore.", "bad"),
}
_UNDER_WAY = Headline("This incident is under way.", "warn")


def headline(verdict: str) -> Headline:
    """Of any text; what is no verdict (yet) is an incident under way."""
    return _HEADLINES.get(Verdict(verdict), _UNDER_WAY) if verdict in set(Verdict) else _UNDER_WAY
