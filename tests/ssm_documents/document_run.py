"""How a document ended, and the documents themselves, assembled once a session."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from ssm_documents.assemble import assemble


@cache
def assembled(verb_phrase: str) -> dict[str, Any]:
    """Once a session: the files of a document do not change under its tests."""
    return assemble(verb_phrase)


@dataclass(frozen=True)
class Run:
    """How a document ended; `report` is its stdout, parsed, or None when it printed nothing."""

    exit_code: int
    report: dict[str, Any] | None
    stdout: str
    stderr: str

    @property
    def error(self) -> str | None:
        """The error's code, or None."""
        return self.report.get("error") if self.report else None

    @property
    def result(self) -> dict[str, Any]:
        """The report of a run that succeeded."""
        assert self.exit_code == 0, f"{self.stdout}\n{self.stderr}"
        assert self.report is not None
        return self.report
