"""The index of all incidents: newest first, filtered by a click, the repeated crashes, the reasons of refusals. Pure.

A page has no script: a filter is a link to an anchor, and the style hides what the anchor's filter leaves out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lambdas.incident.index_fields import IndexedIncident, SimilarIncident
from lambdas.incident.record import Verdict
from lambdas.report.bars import Bar
from lambdas.report.facts import headline
from lambdas.report.text import day, day_and_clock
from lambdas.runtime.links import console_link
from lambdas.runtime.visible_text import clip

_LONGEST = 160
_MOST_GROUPS = 20
_MOST_FILTERS = 20
_BINS = 12


@dataclass(frozen=True)
class Entry:
    """One row of the list."""

    incident: IndexedIncident
    opened: str
    tone: str
    what: str
    link: str
    # The anchors of the filters that show it: f1 f4
    filters: str


@dataclass(frozen=True)
class Filter:
    """A link that shows only the incidents with one value; `anchor` is made here, never of the value."""

    anchor: str
    name: str
    count: int


@dataclass(frozen=True)
class Filters:
    """The filters of one kind, the most frequent value first."""

    title: str
    filters: tuple[Filter, ...]
    left_out: int


@dataclass(frozen=True)
class Group:
    """Incidents with the same signature; `trend`: how many in each twelfth of the time, in percent of the most."""

    anchor: str
    what: str
    count: int
    instances: int
    last: str
    trend: tuple[float, ...]


@dataclass(frozen=True)
class Index:
    """The contents of the page."""

    entries: tuple[Entry, ...]
    groups: tuple[Group, ...]
    filters: tuple[Filters, ...]
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
    kinds, anchors = _filters(ordered)
    entries = tuple(
        Entry(
            each,
            day_and_clock(each.opened_at),
            headline(each.verdict).tone,
            clip(each.sentence or each.refusal, _LONGEST),
            console_link(bucket=bucket, region=region, key=each.report_key),
            " ".join(anchors[kind, value] for kind, value in _values(each) if (kind, value) in anchors),
        )
        for each in ordered
    )
    opened = [each.opened_at for each in ordered if each.opened_at]
    return Index(
        entries=entries,
        groups=_groups(entries, anchors),
        filters=kinds,
        refusals=_counted([each.refusal for each in ordered if each.verdict in _REFUSED and each.refusal]),
        instances=len({each.instance_id for each in ordered if each.instance_id}),
        since=day(min(opened)) if opened else "",
        is_cut=is_cut,
    )


_REFUSED = {Verdict.REFUSED, Verdict.UNSUPPORTED}


def _values(incident: IndexedIncident) -> tuple[tuple[str, str], ...]:
    """What an incident can be filtered by, with the heading of each kind."""
    return (
        ("Verdict", incident.verdict or "under way"),
        ("Class", incident.crash_class),
        ("Instance", incident.instance_id),
        ("Signature", incident.signature),
    )


def _filters(incidents: Sequence[IndexedIncident]) -> tuple[tuple[Filters, ...], dict[tuple[str, str], str]]:
    """The links by kind, and the anchor of each kind and value."""
    counted: dict[str, Counter[str]] = {}
    for incident in incidents:
        for kind, value in _values(incident):
            counted.setdefault(kind, Counter()).update([value] if value else [])
    anchors: dict[tuple[str, str], str] = {}
    kinds = []
    for kind, counter in counted.items():
        filters = []
        for value, count in counter.most_common(_MOST_FILTERS):
            anchors[kind, value] = f"f{len(anchors) + 1}"
            filters.append(Filter(anchors[kind, value], clip(value, 40), count))
        if filters:
            kinds.append(Filters(kind, tuple(filters), len(counter) - len(filters)))
    return tuple(kinds), anchors


def _groups(entries: Sequence[Entry], anchors: Mapping[tuple[str, str], str]) -> tuple[Group, ...]:
    """The signatures with more than one incident, the most frequent first."""
    members: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.incident.signature:
            members.setdefault(entry.incident.signature, []).append(entry)
    times = [entry.incident.opened_at.timestamp() for entry in entries if entry.incident.opened_at]
    groups = [
        Group(
            anchors.get(("Signature", signature), ""),
            each[0].what or signature,
            len(each),
            len({entry.incident.instance_id for entry in each}),
            each[0].opened,
            _trend(each, times),
        )
        for signature, each in members.items()
        if len(each) > 1
    ]
    return tuple(sorted(groups, key=lambda group: -group.count)[:_MOST_GROUPS])


def _trend(members: Sequence[Entry], times: Sequence[float]) -> tuple[float, ...]:
    """From the oldest incident of the page to the newest."""
    begin, end = min(times, default=0.0), max(times, default=0.0)
    bins = [0] * _BINS
    for opened in (each.incident.opened_at for each in members):
        if opened is not None:
            share = (opened.timestamp() - begin) / (end - begin) if end > begin else 0.0
            bins[min(_BINS - 1, int(share * _BINS))] += 1
    most = max(bins) or 1
    return tuple(round(count / most * 100, 1) for count in bins)


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
