"""Typed access to an incident as JSON, whose parts may be absent or of another type: a page is drawn of what is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lambdas import moment


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
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # Larger than any size or time there is; and what has no digits cannot be shown in words.
        return value if is_number and abs(value) < 1e18 else None

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
        value = self.given.get(name)
        return [Facts(each) for each in value if isinstance(each, Mapping)] if _is_list(value) else []

    def texts(self, name: str) -> list[str]:
        """The texts of a list."""
        value = self.given.get(name)
        return [each for each in value if isinstance(each, str)] if _is_list(value) else []

    def time(self, name: str) -> datetime | None:
        """None for what is no time with an offset."""
        try:
            return moment.parse(self.text(name))
        except (ValueError, OverflowError):
            return None


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
