"""The index of all incidents: newest first, grouped by signature, and the reasons of refusals. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.incident.index_fields import IndexedIncident, SimilarIncident
from lambdas.incident.record import Verdict
from lambdas.report.bars import Bar
from lambdas.report.facts import headline
from lambdas.report.text import console_link, day, day_and_clock
from lambdas.runtime.visible_text import clip

_LONGEST = 160
_MOST_GROUPS = 20


@dataclass(frozen=True)
class Entry:
    """One row of the list."""

    incident: IndexedIncident
    opened: str
    tone: str
    what: str
    link: str


@dataclass(frozen=True)
class Group:
    """Incidents with the same signature."""

    signature: str
    what: str
    count: int
    instances: int
    last: str
    link: str


@dataclass(frozen=True)
class Index:
    """The contents of the page."""

    entries: tuple[Entry, ...]
    groups: tuple[Group, ...]
    verdicts: tuple[Bar, ...]
    refusals: tuple[Bar, ...]
    instances: int
    since: str
    is_cut: bool


def compose_index(incidents: Sequence[IndexedIncident], *, bucket: str, region: str, is_cut: bool) -> Index:
    """Lists the incidents newest first, in whatever order they come."""
    ordered = sorted(
        incidents, key=lambda each: (each.opened_at.timestamp() if each.opened_at else 0, each.incident_id)
    )
    ordered.reverse()
    entries = tuple(
        Entry(
            each,
            day_and_clock(each.opened_at),
            headline(each.verdict).tone,
            clip(each.sentence or each.refusal, _LONGEST),
            console_link(bucket=bucket, region=region, key=each.report_key),
        )
        for each in ordered
    )
    opened = [each.opened_at for each in ordered if each.opened_at]
    return Index(
        entries=entries,
        groups=_groups(entries),
        verdicts=_counted([each.verdict or "under way" for each in ordered]),
        refusals=_counted([each.refusal for each in ordered if each.verdict in _REFUSED and each.refusal]),
        instances=len({each.instance_id for each in ordered if each.instance_id}),
        since=day(min(opened)) if opened else "",
        is_cut=is_cut,
    )


_REFUSED = {Verdict.REFUSED, Verdict.UNSUPPORTED}


def _groups(entries: Sequence[Entry]) -> tuple[Group, ...]:
    """The signatures with more than one incident, the most frequent first."""
    members: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.incident.signature:
            members.setdefault(entry.incident.signature, []).append(entry)
    groups = [
        Group(
            signature,
            each[0].what,
            len(each),
            len({entry.incident.instance_id for entry in each}),
            each[0].opened,
            each[0].link,
        )
        for signature, each in members.items()
        if len(each) > 1
    ]
    return tuple(sorted(groups, key=lambda group: -group.count)[:_MOST_GROUPS])


def _counted(names: Sequence[str]) -> tuple[Bar, ...]:
    """The names' counts as bars; the most frequent is as wide as the page."""
    counted = Counter(names).most_common()
    most = counted[0][1] if counted else 1
    return tuple(Bar(clip(name, 40), str(count), round(count / most * 100, 3)) for name, count in counted)


_MOST_SHOWN = 20


@dataclass(frozen=True)
class Neighbour:
    """One row of similar incidents; `link` is "" without a report."""

    incident: SimilarIncident
    link: str


@dataclass(frozen=True)
class Similar:
    """The similar incidents on a page."""

    sentence: str
    neighbours: tuple[Neighbour, ...]
    left_out: int = 0


def draw_similar(similar: Sequence[SimilarIncident], *, instance_id: str, bucket: str, region: str) -> Similar:
    """Lists similar incidents, newest first."""
    ordered = sorted(similar, key=lambda each: each.incident_id, reverse=True)
    neighbours = tuple(
        Neighbour(each, console_link(bucket=bucket, region=region, key=each.report_key))
        for each in ordered[:_MOST_SHOWN]
    )
    return Similar(_sentence(ordered, instance_id), neighbours, len(ordered) - len(neighbours))


def _sentence(similar: Sequence[SimilarIncident], instance_id: str) -> str:
    if not similar:
        return "This is the first incident with this signature."
    times = "once before" if len(similar) == 1 else f"{len(similar)} times before"
    instances = {each.instance_id for each in similar}
    if instances == {instance_id}:
        place = "always on this instance"
    elif instance_id in instances:
        place = f"on {len(instances)} instances, this one among them"
    else:
        place = f"on {len(instances)} other instance{'s' if len(instances) > 1 else ''}"
    opened = [each.opened_at for each in similar if each.opened_at]
    since = f", first on {day(min(opened))}" if opened else ""
    return f"Seen {times}, {place}{since}."
