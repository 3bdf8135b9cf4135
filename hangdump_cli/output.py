"""Prints answers, errors and progress. Standard output holds the answer alone: text, or with --json one document."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.text import Text
from rich.theme import Theme

from hangdump_cli.errors import CommandFailed
from hangdump_cli.text import Block, lay_out
from lambdas.runtime import moment
from lambdas.runtime.visible_text import visible_line

# Of every answer with --json. A new field does not change it; a removed or changed one does.
JSON_SCHEMA_VERSION = 1


class _Words(RegexHighlighter):
    """Colours for a terminal; without one there are none."""

    base_style = "hangdump."
    highlights = (
        r"\b(?P<good>ready|captured|rescued|ok)\b",
        r"(?P<bad>\bnot ready\b|\brefused\b|\bfailed\b|\bincomplete\b|\bno-panic\b|\bpanic-no-dump\b|\bFAIL\b)",
        r"(?P<name>\bi-[0-9a-f]{8,17}\b|\bvol-[0-9a-f]{8,17}\b)",
    )


_THEME = Theme({"hangdump.good": "green", "hangdump.bad": "red", "hangdump.name": "cyan"})


class Progress:
    """Tells how far a long piece of work is: a line that changes on a terminal, a line for each step when piped."""

    def __init__(self, show: Any) -> None:
        self._show = show
        self._said = ""

    def step(self, text: str) -> None:
        """Says each step once."""
        if text != self._said:
            self._said = text
            self._show(visible_line(text))


class Output:
    """One command's output."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self._out = Console(file=sys.stdout, theme=_THEME, highlighter=_Words(), soft_wrap=True)
        self._err = Console(file=sys.stderr, theme=_THEME, soft_wrap=True)

    def answer(self, command: str, content: Mapping[str, Any], blocks: Sequence[Block]) -> None:
        """Prints the answer."""
        if self.is_json:
            document = {"schemaVersion": JSON_SCHEMA_VERSION, "command": command, **content}
            # Not through the console, which would colour it.
            print(json.dumps(document, indent=2, default=_plain), file=sys.stdout, flush=True)
            return
        for line in lay_out(blocks):
            self._out.print(line, markup=False, emoji=False, crop=False)

    def fail(self, error: CommandFailed, command: str) -> None:
        """Prints an error: two lines on standard error, or the document in the answer's place."""
        if self.is_json:
            content = {"error": error.name, "message": error.happened, "next": error.next_step}
            document = {"schemaVersion": JSON_SCHEMA_VERSION, "command": command, **content}
            print(json.dumps(document, indent=2), file=sys.stdout, flush=True)
            return
        self.note(f"{error.name}: {error.happened}")
        self.note(f"Next: {error.next_step}")

    def note(self, text: str) -> None:
        """One line on standard error."""
        self._err.print(visible_line(text), markup=False, emoji=False, highlight=False, crop=False)

    @contextmanager
    def busy(self, title: str) -> Iterator[None]:
        """For a work of seconds: shown on a terminal only."""
        if not self._err.is_terminal or self.is_json:
            yield
            return
        with self._err.status(title):
            yield

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """For as long as the work lasts."""
        if not self._err.is_terminal or self.is_json:
            yield Progress(lambda text: self.note(f"{title}: {text}"))
            return
        with self._err.status(title) as status:
            # Not as markup: the name of a state or an instance may hold brackets.
            yield Progress(lambda text: status.update(Text(f"{title}: {text}")))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        # botocore gives the time of the machine's own zone.
        return moment.iso(value)
    raise TypeError(f"{type(value).__name__} in an answer")
