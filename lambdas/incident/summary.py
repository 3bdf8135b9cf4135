"""An incident in a line of a list: what the table's indexes hold of it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class IndexedIncident:
    """What the index knows of an incident; "" is unknown."""

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
    """Another incident; `report_key` is "" when it has no page. `is_same_kernel` is None when that is not known."""

    incident_id: str
    instance_id: str
    opened_at: datetime | None
    verdict: str
    kernel: str = ""
    report_key: str = ""
