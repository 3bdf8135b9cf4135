"""Typed access to an incident as JSON, whose parts may be absent or of another type: what is there is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
