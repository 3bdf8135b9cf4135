"""Lets only one of several concurrent deliveries of an alarm respond: the one that holds the incident's lease.

The claim (claim.py) already prevents a second interrupt; without the lease each delivery would probe and notify. If
the holder dies, only a retry of its own request may take the lease before it expires: Lambda retries a failed event
under the same request id, and only after the failed attempt has ended.
"""

from datetime import datetime
from enum import Enum

from botocore.exceptions import ClientError

from lambdas.runtime import clients

# The table drops the lease this late, long after Lambda's last retry.
_KEPT_SECONDS = 24 * 3600


class Lease(Enum):
    """first: nobody has responded to this alarm · again: an earlier attempt began to · held: another request works."""

    FIRST = "first"
    AGAIN = "again"
    HELD = "held"


def take(table: str, incident_id: str, *, request_id: str, now: datetime, seconds: float) -> Lease:
    """Takes the lease for `seconds`, the function's remaining time, unless another request holds it."""
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
