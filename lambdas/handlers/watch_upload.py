"""Polls a round of an upload: the state of its command, and how much of the vmcore S3 holds.

It replaces GetCommandInvocation in the state machine, so that the execution shows percent, speed and time left. It
counts bytes of the key that the execution's state names: a wrong one shows a wrong figure, and nothing relies on it.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.runtime import clients, moment
from lambdas.runtime.observability import entry_point, logger
from lambdas.upload.progress import held_bytes, progress

_KEPT_FIELDS = (
    *("CommandId", "InstanceId", "DocumentName", "Status", "StatusDetails"),
    *("ResponseCode", "StandardOutputContent", "StandardErrorContent"),
)


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"commandId","instanceId","upload"}`; gives the input of read_document_result, and `Progress`."""
    seen = _invocation(event["commandId"], event["instanceId"])
    upload = event["upload"]
    if not upload.get("uploadId"):
        return seen
    in_s3 = held_bytes(upload)
    if in_s3 is None:
        return seen
    now = moment.epoch(moment.now())
    made = progress(
        size_bytes=upload["sizeBytes"],
        held_bytes=in_s3,
        before_bytes=upload["heldBytes"],
        seconds=now - upload["plannedEpoch"],
    )
    logger.info("%s %% of the vmcore are in S3, %s MiB/s", made["percent"], made["mibPerSecond"])
    return seen | {"Progress": made}


def _invocation(command_id: str, instance_id: str) -> dict[str, Any]:
    try:
        invocation = clients.ssm().get_command_invocation(CommandId=command_id, InstanceId=instance_id)
    except ClientError as error:
        # Right after SendCommand the invocation may not be visible yet.
        if error.response["Error"]["Code"] != "InvocationDoesNotExist":
            raise
        return {"CommandId": command_id, "InstanceId": instance_id, "Status": "Pending"}
    return {name: invocation[name] for name in _KEPT_FIELDS if name in invocation}  # type: ignore[literal-required]
