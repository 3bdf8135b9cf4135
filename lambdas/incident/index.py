"""Queries incidents by time and by signature in two sparse indexes of the incident table. Bounded; never scans.

The indexes are some milliseconds behind the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lambdas.incident.index_fields import (
    ALL,
    BY_SIGNATURE,
    BY_TIME,
    LISTED_UNDER,
    REPEATS,
    IndexedIncident,
    SimilarIncident,
)
from lambdas.incident.update_expression import deserialize, serialize
from lambdas.runtime import clients, moment

_MOST_LISTED = 500
_MOST_SIMILAR = 100


@dataclass(frozen=True)
class Listed:
    """Incidents, newest first; `is_cut`: older ones exist."""

    incidents: list[IndexedIncident]
    is_cut: bool


class IncidentIndex:
    """The indexes of one table."""

    def __init__(self, table_name: str) -> None:
        self._name = table_name

    def newest(self, most: int = _MOST_LISTED) -> Listed:
        """The newest incidents."""
        found = self._query(BY_TIME, LISTED_UNDER, ALL, most=most + 1)
        return Listed([_indexed(item) for item in found[:most]], len(found) > most)

    def similar(self, signature: str, *, but: str) -> list[SimilarIncident]:
        """Other incidents with this signature, newest first; none for the empty signature."""
        if not signature:
            return []
        found = self._query(BY_SIGNATURE, REPEATS, signature, most=_MOST_SIMILAR)
        return [_similar(item) for item in found if item.get("incidentId") != but]

    def _query(self, index: str, attribute: str, value: str, *, most: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        pages = (
            clients.dynamodb()
            .get_paginator("query")
            .paginate(
                TableName=self._name,
                IndexName=index,
                KeyConditionExpression="#key = :value",
                ExpressionAttributeNames={"#key": attribute},
                ExpressionAttributeValues=serialize({":value": value}),
                ScanIndexForward=False,
                PaginationConfig={"MaxItems": most},
            )
        )
        for page in pages:
            found.extend(deserialize(item) for item in page["Items"])
        return found


def as_indexed(incident: Mapping[str, Any]) -> IndexedIncident:
    """Converts incident.json, which is newer than its incident's entry in the index."""
    return _indexed({**incident, "reason": incident.get("decisionReason"), "verdictReason": incident.get("reason")})


def replaced(listed: Sequence[IndexedIncident], own: IndexedIncident) -> list[IndexedIncident]:
    """The list with its entry for this incident replaced by `own`."""
    return [own, *(each for each in listed if each.incident_id != own.incident_id)]


def _indexed(item: Mapping[str, Any]) -> IndexedIncident:
    return IndexedIncident(
        incident_id=_text(item, "incidentId"),
        instance_id=_text(item, "instanceId"),
        opened_at=_time(item),
        verdict=_text(item, "verdict"),
        refusal=_text(item, "reason"),
        crash_class=_text(item, "crashClass"),
        signature=_text(item, "signature"),
        sentence=_text(item, "sentence") or _text(item, "verdictReason"),
        report_key=_report_key(item),
    )


def _similar(item: Mapping[str, Any]) -> SimilarIncident:
    return SimilarIncident(
        incident_id=_text(item, "incidentId"),
        instance_id=_text(item, "instanceId"),
        opened_at=_time(item),
        verdict=_text(item, "verdict"),
        kernel=_text(item, "kernel"),
        report_key=_report_key(item),
    )


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _report_key(item: Mapping[str, Any]) -> str:
    keys = item.get("keys")
    return _text(keys, "report") if isinstance(keys, Mapping) else ""


def _time(item: Mapping[str, Any]) -> datetime | None:
    try:
        return moment.parse(_text(item, "openedAt"))
    except ValueError:
        return None
