"""The sentence at the top of a page: how the incident ended. Owns the words for each verdict, not the verdict."""

from dataclasses import dataclass

from lambdas.incident.record import Verdict


@dataclass(frozen=True)
class Headline:
    """`tone` is good, warn, bad or quiet: what the page is coloured by."""

    sentence: str
    tone: str


_HEADLINES = {
    Verdict.CAPTURED: Headline("The kernel's memory is captured: its vmcore is in S3, complete and identical.", "good"),
    Verdict.RESCUED: Headline("The instance did not come back; its vmcore was rescued from the dump volume.", "good"),
    Verdict.INCOMPLETE: Headline("The kernel crashed, and the crash kernel did not finish its vmcore.", "warn"),
    Verdict.PANIC_NO_DUMP: Headline("The kernel crashed, and left no vmcore.", "bad"),
    Verdict.NO_PANIC: Headline("The interrupt was sent, and the kernel did not panic.", "bad"),
    Verdict.UNSUPPORTED: Headline("This kind of instance takes no diagnostic interrupt: it was left alone.", "quiet"),
    Verdict.REFUSED: Headline("The instance was not interrupted: the gate refused.", "quiet"),
    Verdict.FAILED: Headline("The collection stopped before there was a vmcore.", "bad"),
}
_UNDER_WAY = Headline("This incident is under way.", "warn")


def headline(verdict: str) -> Headline:
    """Of any text; what is no verdict (yet) is an incident under way."""
    return _HEADLINES.get(Verdict(verdict), _UNDER_WAY) if verdict in set(Verdict) else _UNDER_WAY
