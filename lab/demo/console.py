"""Reads the guest's serial console while it dumps and tells what it shows, as watch_dump reads it."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lab.guest.qemu_guest import QemuGuest
from lambdas.collect.console_progress import Progress, read_progress
from lambdas.incident.record import ConsoleBaseline


class ConsoleWatch:
    """`with ConsoleWatch(guest, tell):` calls `tell` with each new phase of a crash that the console shows."""

    def __init__(self, guest: QemuGuest, tell: Callable[[Progress], None], *, every_seconds: float = 1) -> None:
        self._guest = guest
        self._tell = tell
        self._every_seconds = every_seconds
        console = guest.console()
        self._baseline = ConsoleBaseline(end=console[-200:], length=len(console))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="console watch", daemon=True)

    def _watch(self) -> None:
        told = "waiting"
        while not self._stopped.wait(self._every_seconds):
            progress = read_progress(self._guest.console(), baseline=self._baseline)
            # A phase once: each percent that makedumpfile prints would be a line.
            if progress.phase != told:
                told = progress.phase
                self._tell(progress)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
