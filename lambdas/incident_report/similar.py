"""Earlier incidents with the same signature: how often, since when, where. Pure; finding them is incident_index's."""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.incident.summary import SimilarIncident
from lambdas.incident_report.links import console_link
from lambdas.incident_report.wording import day

_MOST_SHOWN = 20


@dataclass(frozen=True)
class Neighbour:
    """One row; `link` is "" where there is nothing to open."""

    incident: SimilarIncident
    link: str


@dataclass(frozen=True)
class Similar:
    """What the page says of repeats."""

    sentence: str
    neighbours: tuple[Neighbour, ...]
    left_out: int = 0


def draw_similar(similar: Sequence[SimilarIncident], *, instance_id: str, bucket: str, region: str) -> Similar:
    """Newest first."""
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
