"""Keeps concurrent deliveries of one alarm apart: whoever holds the incident's lease answers it.

The claim (interrupt_claim.py) alone keeps a second interrupt away; without the lease each delivery would probe and
tell. A holder that died lets nobody else in before its time is over, but its own request: Lambda repeats an event that
failed under the same request id, and only when the attempt before has ended.
"""

from datetime import datetime
from enum import Enum

from botocore.exceptions import ClientError

from lambdas.runtime import clients

# Long after the last repetition, the table's time to live removes it.
_KEPT_SECONDS = 24 * 3600


class Lease(Enum):
    """first: nobody has answered this alarm yet · again: somebody began to · held: another request is at work."""

    FIRST = "first"
    AGAIN = "again"
    HELD = "held"


def take(table: str, incident_id: str, *, request_id: str, now: datetime, seconds: float) -> Lease:
    """Ours for `seconds`, the time that Lambda still gives the function, unless it is held."""
    try:
        answer = clients.dynamodb().put_item(
            TableName=table,
            Item={
                "pk": {"S": f"lease#respond_to_hang#{incident_id}"},
                "holder": {"S": request_id},
                "heldUntil": {"N": str(now.timestamp() + seconds)},
                "expiresAtEpoch": {"N": str(int(now.timestamp()) + _KEPT_SECONDS)},
            },
            ConditionExpression="attribute_not_exists(pk) OR #holder = :request OR #until < :now",
            ExpressionAttributeNames={"#holder": "holder", "#until": "heldUntil"},
            ExpressionAttributeValues={":request": {"S": request_id}, ":now": {"N": str(now.timestamp())}},
            ReturnValues="ALL_OLD",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return Lease.HELD
        raise
    return Lease.AGAIN if answer.get("Attributes") else Lease.FIRST
