"""One record of the incident table, to be read and to be told of its report: all that drawing again needs of it."""

from lambdas import clients
from lambdas.incident import Incident
from lambdas.update_expression import UpdateExpression, deserialize


class RecordToAmend:
    """The item `incident#<id>`."""

    def __init__(self, table_name: str, incident_id: str) -> None:
        self._name = table_name
        self._key = {"pk": {"S": f"incident#{incident_id}"}}

    def read(self) -> Incident | None:
        """As last written, or None."""
        item = clients.dynamodb().get_item(TableName=self._name, Key=self._key, ConsistentRead=True).get("Item")
        return Incident.model_validate(deserialize(item)) if item else None

    def set_keys(self, keys: dict[str, str]) -> None:
        """The names of the incident's objects, as incident.json has them and with the report."""
        update = UpdateExpression({"keys": keys})
        clients.dynamodb().update_item(
            TableName=self._name, Key=self._key, ConditionExpression="attribute_exists(pk)", **update.arguments()
        )
