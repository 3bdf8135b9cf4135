"""A log of the corpus, and the right answer about it, which was written before the triage read the log."""

from dataclasses import dataclass

from lambdas.triage import CrashClass


@dataclass(frozen=True)
class Case:
    """cpu, task (name, pid) and function are those of the culprit; "" for no function, None for no task.

    `function` is the innermost; `blamed` the caller of the kernel's machinery, where that is another; "" for nobody.
    """

    crash_class: CrashClass
    cpu: int | None
    task: tuple[str, int] | None
    function: str
    architecture: str = "x86_64"
    blamed: str | None = None
    # Phrases that the sentence must have, that it must not have, and that a warning must have.
    says: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    # What no reader of the log can tell. The values above are then all that it does tell.
    undecidable: str = ""

    @property
    def to_blame(self) -> str:
        """The function that is to be blamed, or ""."""
        return self.function if self.blamed is None else self.blamed
