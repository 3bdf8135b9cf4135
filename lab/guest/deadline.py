"""Waiting for something to become true, with a deadline and a message; owns no condition itself."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


class Deadline:
    """A moment on the monotonic clock, so that nested waits share one budget."""

    def __init__(self, timeout_seconds: float) -> None:
        self._end = time.monotonic() + timeout_seconds

    @property
    def left_seconds(self) -> float:
        """Never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        return self.left_seconds == 0.0


def wait_until(
    claim: Callable[[], Found | None], *, what: str, timeout_seconds: float, interval_seconds: float = 0.5
) -> Found:
    """The first truthy value of `claim`; raises TimeoutError naming `what` when none comes in time."""
    deadline = Deadline(timeout_seconds)
    while not (found := claim()):
        if deadline.is_over:
            raise TimeoutError(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(min(interval_seconds, deadline.left_seconds))
    return found
