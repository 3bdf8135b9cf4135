"""The page of the fleet: who is ready, and who is not, why and what to do. Pure; no script, as with the index."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lambdas.fleet.row import FleetRow, Status
from lambdas.report.text import day_and_clock
from lambdas.runtime import moment

# A browser draws more only slowly. Whoever needs somebody comes first; all are in fleet.json.
_MOST_ENTRIES = 2_000
_TONES = {
    Status.READY: "good",
    Status.FAILED: "bad",
    Status.UNSUPPORTED: "bad",
    Status.RETIRED: "quiet",
    Status.RETIRING: "quiet",
}


@dataclass(frozen=True)
class Entry:
    """One row of the list."""

    row: FleetRow
    tone: str
    since: str
    # What drills have proven; "" where nobody can know.
    proof: str


@dataclass(frozen=True)
class StatusCount:
    """How many have a status; a click shows only those."""

    status: str
    count: int


@dataclass(frozen=True)
class FleetPage:
    """The contents of the page. `total` is without those that have left."""

    entries: tuple[Entry, ...]
    statuses: tuple[StatusCount, ...]
    ready: int
    total: int
    left_out: int


def compose_fleet(rows: Iterable[FleetRow]) -> FleetPage:
    """Those that need somebody first, then all others that are not ready."""
    ordered = sorted(rows, key=_urgency)
    counts = Counter(row.status for row in ordered)
    shown = ordered[:_MOST_ENTRIES]
    return FleetPage(
        entries=tuple(Entry(row, _TONES.get(row.status, "warn"), _when(row.since), _proof(row)) for row in shown),
        statuses=tuple(StatusCount(status.value, count) for status, count in counts.most_common()),
        ready=counts[Status.READY],
        total=len(ordered) - counts[Status.RETIRED],
        left_out=len(ordered) - len(shown),
    )


def _urgency(row: FleetRow) -> tuple[bool, bool, bool, str]:
    return not row.needs_action, row.status is Status.RETIRED, row.status is Status.READY, row.instance_id


def _proof(row: FleetRow) -> str:
    if row.status is not Status.READY or not (row.image_id and row.kernel and row.configuration_id):
        return ""
    if not row.proven_at:
        return "No drill has proven a dump with this image and kernel."
    return f"A drill proved a dump with this image and kernel on {_when(row.proven_at)}."


def _when(text: str) -> str:
    return day_and_clock(moment.parse(text)) if text else ""
