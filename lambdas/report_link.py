"""The link by which whoever gets a notification reads the report, without signing in to AWS.

It goes into the notification and nowhere else: never into a log, a record, or the result of a function, which the
history of an execution shows. It reads one object, and dies with the session that signed it at the latest: that of a
Lambda function ends within hours, whenever it wants; AWS promises no time.
"""

from botocore.exceptions import BotoCoreError

from lambdas.runtime import clients
from lambdas.runtime.observability import logger


def sign_link(*, bucket: str, key: str, hours: int) -> str:
    """A presigned GET; "" for 0 hours, or when it cannot be signed."""
    if not hours:
        return ""
    try:
        return clients.s3_for_links().generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=hours * 3600
        )
    except BotoCoreError as error:
        # Its class alone: the message of one about signing could hold what it signed.
        logger.warning("The link to the report could not be signed: %s", type(error).__name__)
        return ""
