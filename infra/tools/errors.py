"""Writes docs/errors.md from the error classes: each error, what happened, and what to do."""

import sys
from inspect import cleandoc

from analysis.command_line import run
from infra.synth import ROOT
from lambdas.runtime import errors

PAGE = ROOT / "docs" / "errors.md"

_HEAD = """\
# Errors

What an execution, a notification or a document names as its error. The message beside it names instance and value;
this page says what each name means and what to do. Made by `make docs` of
[errors.py](../lambdas/runtime/errors.py).

| error | what happened | what to do |
|---|---|---|
"""


def known() -> dict[str, type[errors.HangdumpError]]:
    """Every error by its name."""
    found = {each.__name__: each for each in errors.HangdumpError.__subclasses__()}
    return dict(sorted(found.items()))


def page() -> str:
    """The page as Markdown."""
    rows = [f"| `{name}` | {_line(each.__doc__ or '')} | {each.next_step} |" for name, each in known().items()]
    return _HEAD + "\n".join(rows) + "\n"


def _line(text: str) -> str:
    return " ".join(cleandoc(text).split()).replace("|", "\\|")


def main() -> None:
    """Write it."""
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(run(main))
