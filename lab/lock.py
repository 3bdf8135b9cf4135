"""One process at a time, and who that is: a lock on a file that ends with its process, however that ends."""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO


class Held(Exception):
    """Another process has the lock; the message says which, and since when."""


def take(path: Path) -> IO[str]:
    """Lock the file, which is made when it is missing, until what is returned is closed. Raises Held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not "w": the holder's line must stay when the lock is refused.
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "a process that has just begun"
        file.close()
        raise Held(holder) from error
    _sign(file)
    return file


@contextmanager
def locked(path: Path, say: Callable[[str], object] = lambda line: print(line, file=sys.stderr)) -> Iterator[None]:
    """Wait for the lock, and `say` for whom."""
    try:
        file = take(path)
    except Held as held:
        say(f"waiting for {held} ({path})")
        file = path.open("a+")
        fcntl.flock(file, fcntl.LOCK_EX)
        _sign(file)
    with file:
        yield


def _sign(file: IO[str]) -> None:
    file.truncate(0)
    file.write(f"process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")
    file.flush()
