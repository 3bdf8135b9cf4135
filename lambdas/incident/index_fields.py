"""What puts a record into the two sparse indexes of the incident table, and the names of these; see incident_index.

Written when an incident ends, so that no claim ever waits for them: an index that throttles holds up the writes to its
table.
"""

BY_TIME = "by-time"
BY_SIGNATURE = "by-signature"
# Partition keys of the two; the sort key of both is openedAt. The signature has an attribute of its own here: a key of
# an index may not be "", which `signature` is when nothing is known.
LISTED_UNDER = "listedUnder"
REPEATS = "repeats"
ALL = "incidents"
OPENED_AT = "openedAt"
# Everything that an answer holds beside the keys.
PROJECTED = (
    *("incidentId", "instanceId", "verdict", "reason", "verdictReason", "crashClass", "signature", "sentence"),
    *("kernel", "keys"),
)


def index_fields(signature: str = "") -> dict[str, str]:
    """The fields of a record that has this signature."""
    return {LISTED_UNDER: ALL} | ({REPEATS: signature} if signature else {})
