"""How large a round of EnrolFleet is, when its items start, and when the next one would do no better. Pure."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from lambdas.fleet.plan import NO_OUTCOME
from lambdas.fleet.row import FleetRow, Status

# A fault of the fleet shows in the first ones. After these two a round takes all, up to two bounds: what changes
# meanwhile is seen by the next plan only, and the children of a map may answer no more than 256 KiB together.
_FIRST = (5, 50)
_LONGEST_MINUTES = 120
MOST_ITEMS = 10_000
_LEAST_FAILURES = 10
_LEAST_SHARE = 0.2
_FAILED = (Status.FAILED, Status.NOT_READY, Status.WAITING_FOR_AGENT, Status.RETIRING)


def round_size(number: int, per_minute: int) -> int:
    """Of the round with this number, from 1 on."""
    return _FIRST[number - 1] if number <= len(_FIRST) else min(MOST_ITEMS, _LONGEST_MINUTES * per_minute)


def start_of(place: int, per_minute: int, begin: datetime) -> datetime:
    """When the item at this place of the list, from 0 on, starts, in a round that is planned at `begin`.

    A map begins whenever another child ends, so its speed depends on how long they take: too fast for AWS's rates, and
    the gate would have to wait for them as well.
    """
    return begin + timedelta(minutes=place / per_minute)


def most_at_once(per_minute: int) -> int:
    """Of one map. Only enrolments of more than ten minutes slow the others down."""
    return 10 * per_minute


def round_id(execution_name: str, number: int) -> str:
    """In the row of everybody whom this round worked on."""
    return f"{execution_name}/{number}"


def why_halt(rows: Iterable[FleetRow], of_round: str) -> str:
    """Empty unless at least ten, and a fifth of the round, failed with one error. Refusals of a kind of instance do
    not count: nothing was touched, and they are not tried again."""
    members = [row for row in rows if row.round == of_round]
    errors = Counter(row.error or NO_OUTCOME for row in members if row.error == NO_OUTCOME or _has_failed(row))
    if not errors:
        return ""
    ((error, count),) = errors.most_common(1)
    if count < _LEAST_FAILURES or count < _LEAST_SHARE * len(members):
        return ""
    example = next(row for row in members if row.error == error)
    observed = example.reasons[0].observed if example.reasons else ""
    return f"{count} of {len(members)} instances failed with {error}, such as {example.instance_id}: {observed}"


def _has_failed(row: FleetRow) -> bool:
    return bool(row.error) and row.status in _FAILED
