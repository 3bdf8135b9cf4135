"""The sweep's own bound: it ends its search before Lambda ends it, and says what it did not see."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

# To remove, to write the report and to tell of it.
_KEPT_FOR_THE_REPORT_SECONDS = 60

Page = TypeVar("Page")


class TimeLeft:
    """`unseen` names, in words, what there was no time for."""

    def __init__(self, remaining_milliseconds: Callable[[], int]) -> None:
        self._remaining_milliseconds = remaining_milliseconds
        self.unseen: list[str] = []

    @property
    def seconds(self) -> float:
        """For looking; 0 or less when it is over."""
        return self._remaining_milliseconds() / 1000 - _KEPT_FOR_THE_REPORT_SECONDS

    @property
    def is_over(self) -> bool:
        """Stop looking."""
        return self.seconds <= 0

    def pages(self, what: str, pages: Iterable[Page]) -> Iterator[Page]:
        """As many of them as there is time for."""
        for page in pages:
            yield page
            if self.is_over:
                self.unseen.append(f"{what}: not all of them")
                return
