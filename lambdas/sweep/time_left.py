"""The sweep's time limit: it stops searching before Lambda stops the function, and reports what it did not see."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

# The time to remove, to write the report and to notify.
_KEPT_FOR_THE_REPORT_SECONDS = 60

Page = TypeVar("Page")


class TimeLeft:
    """`unseen` describes what there was no time for."""

    def __init__(self, remaining_milliseconds: Callable[[], int]) -> None:
        self._remaining_milliseconds = remaining_milliseconds
        self.unseen: list[str] = []

    @property
    def seconds(self) -> float:
        """The time left for searching; 0 or less: none."""
        return self._remaining_milliseconds() / 1000 - _KEPT_FOR_THE_REPORT_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether the search must stop."""
        return self.seconds <= 0

    def pages(self, kind: str, pages: Iterable[Page]) -> Iterator[Page]:
        """Yields as many pages as there is time for."""
        for page in pages:
            yield page
            if self.is_over:
                self.unseen.append(f"{kind}: not all of them")
                return
