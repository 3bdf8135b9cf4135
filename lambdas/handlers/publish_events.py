"""Publishes what has just been written of an incident or of an instance's readiness to the default bus.

The streams of both tables call it for each change.
"""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.events.read_changes import read_changes
from lambdas.events.read_readiness import read_readiness
from lambdas.events.schema import SOURCE, Detail
from lambdas.fleet.row import ROW_PREFIX
from lambdas.incident.update_expression import deserialize
from lambdas.runtime import clients
from lambdas.runtime.environment import VmcoreBucketName
from lambdas.runtime.errors import AwsUnavailable
from lambdas.runtime.observability import entry_point, logger

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"Records"}` of a DynamoDB stream, gives `{"published"}`. An error makes the stream send them again."""
    bucket = VmcoreBucketName.read().bucket_name
    details = [detail for record in event["Records"] for detail in _details(record["dynamodb"], bucket)]
    entries: list[PutEventsRequestEntryTypeDef] = [
        {"Source": SOURCE, "DetailType": each.type.value, "Detail": each.model_dump_json(by_alias=True)}
        for each in details
    ]
    if entries:
        _put(entries)
    for each in details:
        logger.info("Published %s %s", each.type.value, each.event_id)
    return {"published": [each.event_id for each in details]}


def _put(entries: "list[PutEventsRequestEntryTypeDef]") -> None:
    # A change of one record stands for fewer events than the ten that one call takes.
    answer = clients.events().put_events(Entries=entries)
    if answer["FailedEntryCount"]:
        codes = ", ".join(sorted({each["ErrorCode"] for each in answer["Entries"] if "ErrorCode" in each}))
        raise AwsUnavailable(f"EventBridge did not take {answer['FailedEntryCount']} events ({codes}).")


def _details(change: dict[str, Any], bucket: str) -> list[Detail]:
    before = deserialize(change["OldImage"]) if change.get("OldImage") else None
    after = deserialize(change["NewImage"])
    if str(after["pk"]).startswith(ROW_PREFIX):
        return read_readiness(before, after)
    return read_changes(before, after, bucket=bucket)
