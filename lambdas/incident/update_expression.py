"""DynamoDB's update expressions and item types for incident records."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_TIMELINE = "timeline"


class UpdateExpression:
    """Sets fields and appends to the timeline. Names need placeholders because `state` is a reserved word."""

    def __init__(self, fields: Mapping[str, Any], timeline: Sequence[Mapping[str, str]] = ()) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._assignments = [f"{self.name(field)} = {self.value(value)}" for field, value in fields.items()]
        self._add = ""
        if timeline:
            name, entries, empty = self.name(_TIMELINE), self.value(list(timeline)), self.value([])
            self._assignments.append(f"{name} = list_append(if_not_exists({name}, {empty}), {entries})")

    def name(self, attribute: str) -> str:
        """The placeholder of an attribute, also for use in a condition."""
        placeholder = f"#{attribute}"
        self._names[placeholder] = attribute
        return placeholder

    def value(self, value: Any) -> str:
        """The placeholder of a value, also for use in a condition."""
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder

    def increase(self, attribute: str, by: int) -> None:
        """Adds to a counter; a missing one counts as 0."""
        self._add = f" ADD {self.name(attribute)} {self.value(by)}"

    def arguments(self) -> dict[str, Any]:
        """Arguments for UpdateItem or for an Update of a transaction."""
        changes = f"SET {', '.join(self._assignments)}" if self._assignments else ""
        return {
            "UpdateExpression": f"{changes}{self._add}".strip(),
            "ExpressionAttributeNames": self._names,
            "ExpressionAttributeValues": serialize(self._values),
        }


def serialize(item: Mapping[str, Any]) -> dict[str, Any]:
    """Converts plain values to DynamoDB's typed values; boto3 refuses floats."""
    to_type = TypeSerializer()
    return {name: to_type.serialize(value) for name, value in item.items()}


def deserialize(item: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse of serialize(); numbers become int."""
    to_value = TypeDeserializer()
    return {name: _plain(to_value.deserialize(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value
