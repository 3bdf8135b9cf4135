"""Keeps concurrent deliveries of one alarm apart: whoever holds the incident's lease answers it.

The claim (interrupt_claim.py) alone keeps a second interrupt away; without the lease each delivery would probe and
tell. A holder that died lets nobody else in before its time is over, but its own request: Lambda repeats an event that
failed under the same request id, and only when the attempt before has ended.
"""

from datetime import datetime

from botocore.exceptions import ClientError

from lambdas import clients

# Long after the last repetition, the table's time to live removes it.
_KEPT_SECONDS = 24 * 3600


def take(table: str, incident_id: str, *, request_id: str, now: datetime, seconds: float) -> bool:
    """False when another request holds it; ours for `seconds`, the time that Lambda still gives the function."""
    try:
        clients.dynamodb().put_item(
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
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True
