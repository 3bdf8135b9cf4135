"""Copies of this process, by fork: each goes on from where it was made and tells its result. Owns how many run at once.

A copy costs some hundredths of a second, and what it does to the account is gone with it.
"""

import gc
import json
import os
import selectors
import traceback
from typing import Any, NoReturn

JOBS = int(os.environ.get("FAULT_JOBS", "2"))


class Copies:
    """`fork` gives True in the copy, which must come to `leave`."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self._selector = selectors.DefaultSelector()
        self._running = 0
        self._write_fd = -1

    def fork(self) -> bool:
        while self._running >= JOBS:
            self._reap()
        read_fd, write_fd = os.pipe()
        pid = os.fork()
        if pid == 0:
            # A collection would touch, and so copy, every page of what is shared.
            gc.disable()
            os.close(read_fd)
            self._write_fd = write_fd
            return True
        os.close(write_fd)
        self._selector.register(read_fd, selectors.EVENT_READ, (pid, bytearray()))
        self._running += 1
        return False

    @property
    def is_copy(self) -> bool:
        return self._write_fd >= 0

    def leave(self, result: Any) -> NoReturn:
        try:
            with os.fdopen(self._write_fd, "w") as pipe:
                json.dump(result, pipe)
        finally:
            # Also when nobody listens any more: a copy must never go on as whoever made it.
            os._exit(0)

    def leave_crashed(self, error: BaseException) -> NoReturn:
        self.leave({"crash": "".join(traceback.format_exception(error))[-3000:]})

    def wait(self) -> list[Any]:
        """The results of all, in the order in which they ended."""
        while self._running:
            self._reap()
        results, self.results = self.results, []
        for each in results:
            if "crash" in each:
                raise AssertionError(f"the engine failed: {each['crash']}")
        return results

    def _reap(self) -> None:
        for key, _ in self._selector.select():
            pid, text = key.data
            chunk = os.read(key.fd, 1 << 16)
            text += chunk
            if chunk:
                continue
            self._selector.unregister(key.fd)
            os.close(key.fd)
            os.waitpid(pid, 0)
            self._running -= 1
            self.results.append(json.loads(bytes(text) or b'{"crash": "a copy ended without a word"}'))
