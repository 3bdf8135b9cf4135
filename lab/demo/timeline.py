"""The live timeline of the demo: one line an event, and below them, on a terminal, what is being waited for."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

# One colour a storyteller, so that an eye can follow one of them down the page.
STYLES = {
    "demo": "bold white",
    "guest": "green",
    "console": "green",
    "alarm": "red",
    "ec2": "yellow",
    "lambda": "magenta",
    "ssm": "cyan",
    "workflow": "blue",
    "deploy": "dim",
    "image": "dim",
}


class Timeline:
    """Prints events with the time since the demo began; safe to call from any thread.

    `console` decides the looks: colours and a status line on a terminal, plain lines anywhere else.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        self._lock = threading.Lock()

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the timeline was made."""
        return time.monotonic() - self._began

    def add(self, source: str, text: str) -> None:
        """One event, told by `source` (a key of STYLES; others are printed plain)."""
        minutes, seconds = divmod(int(self.elapsed_seconds), 60)
        style = STYLES.get(source, "white")
        with self._lock:
            self._console.print(f"[dim]{minutes:2d}:{seconds:02d}[/dim]  [{style}]{source:<9}[/{style}] {escape(text)}")

    @contextmanager
    def act(self, title: str) -> Iterator[None]:
        """A part of the story: a heading, then a status line for as long as it lasts."""
        with self._lock:
            self._console.print(f"\n[bold]{escape(title)}[/bold]")
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(escape(title)):
            yield
