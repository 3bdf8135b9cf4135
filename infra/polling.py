"""How often and how long the state machines look at something that takes its time. Pure arithmetic, no construct."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Polling:
    """Look after first_seconds, then each time growth_seconds later than before, limit times."""

    first_seconds: int
    growth_seconds: int
    limit: int

    @property
    def total_seconds(self) -> int:
        """Time until the last look."""
        return self.limit * self.first_seconds + self.growth_seconds * self.limit * (self.limit - 1) // 2


def polling(timeout_seconds: int, first_seconds: int, *, at_most: int) -> Polling:
    """Looks that cover the timeout, `at_most` of them.

    A look costs a dozen events of an execution's 25,000, so intervals grow where constant ones would be too many.
    """
    growth_seconds = 0
    while True:
        limit, waited_seconds = 0, 0
        while waited_seconds < timeout_seconds and limit <= at_most:
            waited_seconds += first_seconds + growth_seconds * limit
            limit += 1
        if limit <= at_most:
            return Polling(first_seconds, growth_seconds, limit)
        growth_seconds += 1
