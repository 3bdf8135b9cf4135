"""The active probe: a command that does nothing, because Systems Manager's ping can be minutes old.

Sends it and reads the answer; the callers judge.
"""

import time
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.instance.facts import read_ping
from lambdas.runtime import clients
from lambdas.runtime.document_settings import LATEST_VERSION

_POLL_SECONDS = 1.5
# SendCommand's own lower limit for TimeoutSeconds
_SHORTEST_DELIVERY_SECONDS = 30

# Final statuses in which the agent executed the command, and those in which it did not.
_EXECUTED = {"Success", "Failed"}
_NOT_EXECUTED = {"DeliveryTimedOut", "ExecutionTimedOut", "TimedOut", "Undeliverable"}
_UNFINISHED = {"Pending", "InProgress", "Delayed"}


@dataclass(frozen=True)
class ProbeAnswer:
    """`is_answered` None: unknown, so it proves neither a hang nor a running instance."""

    is_answered: bool | None
    detail: str
    stdout: str = ""


def probe(instance_id: str, *, document: str, timeout_seconds: int) -> ProbeAnswer:
    """Whether the instance executes `document` in time. Takes the whole time if it does not."""
    deadline = time.monotonic() + timeout_seconds
    try:
        sent = clients.ssm().send_command(
            DocumentName=document,
            DocumentVersion=LATEST_VERSION,
            InstanceIds=[instance_id],
            TimeoutSeconds=max(_SHORTEST_DELIVERY_SECONDS, timeout_seconds),
            Comment="hangdump: does this instance still execute anything?",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "InvalidInstanceId":
            return _refused_by_systems_manager(instance_id)
        return ProbeAnswer(None, f"SendCommand failed: {error}.")
    except BotoCoreError as error:
        return ProbeAnswer(None, f"SendCommand failed: {error}.")
    return _wait(instance_id, sent["Command"]["CommandId"], deadline=deadline)


def _wait(instance_id: str, command_id: str, *, deadline: float) -> ProbeAnswer:
    while True:
        # Also before the first poll: no agent answers that fast, and each poll delays the interrupt.
        time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        answer, status = _read(instance_id, command_id)
        if answer is not None:
            return answer
        if time.monotonic() >= deadline:
            if status in _UNFINISHED:
                return ProbeAnswer(False, f"The probe {command_id} is still {status} at its timeout.")
            return ProbeAnswer(None, f"The probe {command_id} could not be read at its timeout: {status}.")


def _read(instance_id: str, command_id: str) -> tuple[ProbeAnswer | None, str]:
    """The answer if there is one, and the status or the error."""
    try:
        invocation = clients.ssm().get_command_invocation(CommandId=command_id, InstanceId=instance_id)
    except ClientError as error:
        # Right after SendCommand the invocation may not be visible yet.
        code = error.response["Error"]["Code"]
        return None, "Pending" if code == "InvocationDoesNotExist" else str(error)
    except BotoCoreError as error:
        return None, str(error)
    status = invocation["Status"]
    # "Delivery Timed Out" in the documentation, "DeliveryTimedOut" in answers
    details = invocation.get("StatusDetails", status).replace(" ", "")
    if details in _EXECUTED:
        stdout = invocation.get("StandardOutputContent", "")
        return ProbeAnswer(True, f"The instance executed the probe {command_id} ({details}).", stdout), status
    if details in _NOT_EXECUTED:
        return ProbeAnswer(False, f"The probe {command_id} ended as {details}."), status
    if status in _UNFINISHED:
        return None, status
    return ProbeAnswer(None, f"The probe {command_id} ended as {details}, which proves nothing."), status


def _refused_by_systems_manager(instance_id: str) -> ProbeAnswer:
    """SendCommand refuses an instance whose agent is gone for minutes; a lost connection counts as no answer."""
    try:
        ping = read_ping(instance_id)
    except (ClientError, BotoCoreError) as error:
        return ProbeAnswer(None, f"DescribeInstanceInformation failed: {error}.")
    if ping is not None and ping.status == "ConnectionLost":
        return ProbeAnswer(
            False, f"Systems Manager lost the connection; last ping {ping.last_ping_at:%Y-%m-%dT%H:%M:%SZ}."
        )
    seen = ping.status if ping else "not registered"
    return ProbeAnswer(None, f"Systems Manager does not take commands for {instance_id}: {seen}.")
