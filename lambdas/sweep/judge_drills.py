"""Which combinations of the fleet are to be drilled. Pure."""

from collections.abc import Iterator
from itertools import islice

from lambdas.runtime import moment
from lambdas.sweep.case import Action, Case, Finding


def judge_drills(case: Case) -> Iterator[Finding]:
    """Those without a proof or a drill for too long, the newest first, as many as may be begun in one sweep."""
    due = sorted(
        (each for each in case.found.combinations if _is_due(case, max(each.proven_at, each.begun_at))),
        key=lambda each: (each.since, each.key),
        reverse=True,
    )
    for each in islice(due, case.policy.drills):
        proven = f"last on {each.proven_at[:10]}" if each.proven_at else "never"
        yield Finding(
            kind="drill-due",
            subject=each.instance_id,
            instance_id=each.instance_id,
            detail=f"A dump with its image, kernel and settings was {proven} proven: {each.key}.",
            action=Action.DRILL,
            proof=each.key,
            begun_at=each.begun_at,
            is_quiet=True,
        )


def _is_due(case: Case, last: str) -> bool:
    return not last or case.is_older(moment.parse(last), case.policy.drill_every)
