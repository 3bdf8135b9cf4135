"""The two sparse indexes of the incident table: their names, the fields that put a record into them, and their answers.

An incident is indexed when it ends, so that no claim waits for an index: a throttled index delays writes to its table.
"""

from dataclasses import dataclass
from datetime import datetime

BY_TIME = "by-time"
BY_SIGNATURE = "by-signature"
# The partition keys; the sort key of both is openedAt. REPEATS repeats `signature` because that may be "", which is not
# allowed as a key of an index.
LISTED_UNDER = "listedUnder"
REPEATS = "repeats"
ALL = "incidents"
OPENED_AT = "openedAt"
# The other attributes that the indexes hold.
PROJECTED = (
    *("incidentId", "instanceId", "verdict", "reason", "verdictReason", "crashClass", "signature", "sentence"),
    *("kernel", "keys"),
)


def index_fields(signature: str = "") -> dict[str, str]:
    """The fields that put a record with this signature into the indexes."""
    return {LISTED_UNDER: ALL} | ({REPEATS: signature} if signature else {})


@dataclass(frozen=True, kw_only=True)
class IndexedIncident:
    """An incident in the index by time; "" is unknown."""

    incident_id: str
    instance_id: str = ""
    opened_at: datetime | None = None
    verdict: str = ""
    # The code of a refusal, such as cooldown.
    refusal: str = ""
    crash_class: str = ""
    signature: str = ""
    sentence: str = ""
    report_key: str = ""


@dataclass(frozen=True)
class SimilarIncident:
    """An incident in the index by signature; `report_key` is "" when it has no page."""

    incident_id: str
    instance_id: str
    opened_at: datetime | None
    verdict: str
    kernel: str = ""
    report_key: str = ""
