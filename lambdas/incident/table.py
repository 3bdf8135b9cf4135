"""Reads and writes incident records: the items of the table with the key `pk` = incident#<id>.

The table also holds the claim's items, the notices of spent budgets, and the leases of provisionings and of alarms.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from lambdas.incident.index_fields import index_fields
from lambdas.incident.record import Incident, State, in_visible_text, timeline_entry
from lambdas.incident.update_expression import UpdateExpression, deserialize, serialize
from lambdas.runtime import clients


def read_incident(table_name: str, incident_id: str) -> Incident | None:
    """The record as last written, or None. Outside of the classes, whose users may also write."""
    # An eventually consistent read could miss a claim made a moment ago.
    answer = clients.dynamodb().get_item(TableName=table_name, Key=_key(f"incident#{incident_id}"), ConsistentRead=True)
    return Incident.model_validate(deserialize(answer["Item"])) if "Item" in answer else None


def create_incident(table_name: str, incident: Incident) -> bool:
    """Creates the record; False when it already exists. Outside of IncidentTable, whose users may only amend."""
    fields = {"pk": f"incident#{incident.incident_id}"}
    # A refusal is final when it is created, so it is indexed now; others are indexed when they end.
    if incident.verdict is not None:
        fields |= index_fields()
    try:
        clients.dynamodb().put_item(
            TableName=table_name,
            Item=serialize(fields | incident.as_json()),
            ConditionExpression="attribute_not_exists(pk)",
        )
    except ClientError as error:
        if _code(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True


class IncidentTable:
    """The incident records of a table."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, incident_id: str) -> Incident | None:
        """The record as last written, or None."""
        return read_incident(self.name, incident_id)

    def update(
        self,
        incident_id: str,
        fields: Mapping[str, Any],
        *,
        timeline: Sequence[dict[str, str]] = (),
        only_in: Sequence[State] = (),
    ) -> bool:
        """Sets camelCase fields and appends to the timeline; False when the record's state is not in `only_in`."""
        update = UpdateExpression(in_visible_text(fields), timeline)
        condition: dict[str, Any] = {}
        if only_in:
            names = [update.value(state.value) for state in only_in]
            condition = {"ConditionExpression": f"{update.name('state')} IN ({', '.join(names)})"}
        try:
            clients.dynamodb().update_item(
                TableName=self.name, Key=_key(f"incident#{incident_id}"), **update.arguments(), **condition
            )
        except ClientError as error:
            if _code(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def settle_interrupting(self, incident: Incident, *, now: datetime) -> None:
        """Ends the state `interrupting` after a crash: from now on the interrupt counts as sent when it was claimed."""
        if incident.state != State.INTERRUPTING:
            return
        detail = "The function ended between the claim and EC2's answer: the interrupt may have been sent."
        fields = {"state": State.INTERRUPT_UNCERTAIN.value, "interruptedEpoch": incident.claimed_epoch}
        entry = timeline_entry(now, "interrupt-uncertain", detail)
        self.update(incident.incident_id, fields, timeline=[entry], only_in=[State.INTERRUPTING])


def _key(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}}


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


class RecordToAmend:
    """One incident record. A class of its own because its user may do less than IncidentTable does."""

    def __init__(self, table_name: str, incident_id: str) -> None:
        self._name, self._incident_id = table_name, incident_id

    def read(self) -> Incident | None:
        """The record as last written, or None."""
        return read_incident(self._name, self._incident_id)

    def update(self, fields: Mapping[str, Any], *, timeline: Sequence[dict[str, str]] = ()) -> None:
        """Sets camelCase fields and appends to the timeline."""
        update = UpdateExpression(in_visible_text(fields), timeline)
        clients.dynamodb().update_item(
            TableName=self._name,
            Key=_key(f"incident#{self._incident_id}"),
            ConditionExpression="attribute_exists(pk)",
            **update.arguments(),
        )
