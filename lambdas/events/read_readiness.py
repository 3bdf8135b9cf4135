"""Which event a change of a row of the fleet table stands for. Pure.

The same change gives the same event with the same id: a row's revision grows with each write.
"""

from collections.abc import Mapping
from typing import Any

from lambdas.events.chat import chat
from lambdas.events.schema import Detail, ReadinessChanged, Why
from lambdas.fleet.row import FleetRow, Status, read_row


def read_readiness(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Detail]:
    """The event between two images of a row, or none; `before` is None for a new row."""
    old, new = read_row(before) if before else None, read_row(after)
    # A new row is not ready, which is no news.
    has_another_status = new.status is not (old.status if old else Status.NOT_READY)
    begins_to_need = new.needs_action and not (old and old.needs_action)
    return [_changed(old, new)] if has_another_status or begins_to_need else []


def _changed(old: FleetRow | None, new: FleetRow) -> ReadinessChanged:
    event = f"readiness/{new.revision}"
    first = f": {new.reasons[0].observed}" if new.reasons else "."
    return ReadinessChanged(
        event_id=f"{new.instance_id}/{event}",
        # Its status may be older than what it needs now.
        at=max(new.since, new.tried_at),
        instance_id=new.instance_id,
        status=new.status.value,
        previous_status=old.status.value if old else "",
        needs_action=new.needs_action,
        reasons=[Why(**vars(each)) for each in new.reasons],
        kernel=new.kernel,
        volume_id=new.volume_id,
        group=new.group,
        zone=new.zone,
        chat=chat(
            ReadinessChanged.type,
            thread=new.instance_id,
            event=event,
            title=f"{new.instance_id} is {new.status.value}{first}",
            lines=[each.observed for each in new.reasons[1:]],
            next_steps=[each.remedy for each in new.reasons if each.remedy],
            keywords=(new.instance_id, new.status.value),
        ),
    )
