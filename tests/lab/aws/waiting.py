"""Polls with a deadline."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], *, timeout_seconds: float = 10.0) -> bool:
    """True as soon as the condition is; False when it never was within the time."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
