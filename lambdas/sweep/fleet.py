"""How ready the fleet is, a number for each kind: what the dashboard draws. What is wrong with whom is a finding."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from lambdas.sweep.found import Checked, Found


class Readiness(StrEnum):
    """Of an instance that runs and is enrolled; each is exactly one of these."""

    READY = "ready"  # it says so, and its own check agrees
    BROKEN = "broken"  # it says so, and its own check does not agree
    UNREACHABLE = "unreachable"  # it says so, and Systems Manager does not reach it
    NOT_ASKED = "not-asked"  # it says so; its incident is being worked on, or there was no time
    NOT_PROVISIONED = "not-provisioned"  # enrolled, and nobody made it ready


def readiness_of_fleet(found: Found) -> Mapping[str, int]:
    """All kinds, also those with none, so that a line goes down to 0; empty when nobody looked."""
    if found.fleet is None:
        return {}
    checked = {each.instance_id: each for each in found.checked}
    counted = Counter(
        _readiness(checked.get(instance_id), is_marked=is_marked) for instance_id, is_marked in found.fleet.items()
    )
    return {kind.value: counted[kind] for kind in Readiness}


def _readiness(seen: Checked | None, *, is_marked: bool) -> Readiness:
    if not is_marked:
        return Readiness.NOT_PROVISIONED
    if seen is None:
        return Readiness.NOT_ASKED
    if not seen.is_reachable:
        return Readiness.UNREACHABLE
    if seen.is_ready is None:
        return Readiness.NOT_ASKED
    return Readiness.READY if seen.is_ready else Readiness.BROKEN
