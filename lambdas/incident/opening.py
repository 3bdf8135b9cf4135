"""Opens the incident of an execution that a human or the sweep started, once."""

from typing import Any

from lambdas.incident.object_keys import incident_id
from lambdas.incident.record import Incident, timeline_entry
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.runtime import moment
from lambdas.runtime.errors import InvalidInput


def new_incident(event: dict[str, Any], instance_id: str, *, origin: str) -> Incident:
    """The incident of an execution, from `{"executionId","executionName","startTime"}`."""
    started_at = moment.parse(event["startTime"])
    _, _, _, region, account_id, *_ = event["executionId"].split(":")
    return Incident(
        incident_id=incident_id(started_at, instance_id),
        instance_id=instance_id,
        account_id=account_id,
        region=region,
        origin=origin,
        execution_name=event["executionName"],
        execution_arn=event["executionId"],
        opened_at=moment.iso(started_at),
        timeline=[timeline_entry(started_at, "requested", event["executionName"])],
    )


def open_once(records: IncidentTable, opened: Incident) -> Incident:
    """Creates the record; gives the one that is there when the state is retried. Raises InvalidInput."""
    if create_incident(records.name, opened):
        return opened
    known = records.read(opened.incident_id)
    if known is None or known.execution_arn != opened.execution_arn:
        raise InvalidInput(
            f"Another execution opened the incident {opened.incident_id} in the same second.",
            "Wait for it, then start again if it is still needed.",
        )
    return known
