"""Runs a document on many instances, with rate control, and reads what each printed. The caller checks that."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from lambdas.instance.document_result import read_output
from lambdas.runtime import clients
from lambdas.runtime.document_settings import LATEST_VERSION
from lambdas.runtime.errors import HangdumpError
from lambdas.sweep.time_left import TimeLeft

# SendCommand takes at most 50 InstanceIds.
INSTANCES_A_COMMAND = 50
_DELIVERY_SECONDS = 60
# A slower instance is reported as unseen; its script continues and does no harm.
_TIMEOUT_SECONDS = 180
_POLL_SECONDS = 2.0
_STILL_RUNNING = {"Pending", "InProgress", "Delayed", "Cancelling"}

# What a document printed, unchecked, or the error that it named.
Answer = dict[str, Any] | HangdumpError


def run_on_fleet(
    document: str, parameters: Mapping[str, list[str]], instance_ids: Sequence[str], time_left: TimeLeft
) -> dict[str, Answer]:
    """The answers by instance; an instance that did not answer in time is absent."""
    answers: dict[str, Answer] = {}
    for command_id, sent_to in _send(document, parameters, list(instance_ids)):
        waiting = set(sent_to)
        deadline = time.monotonic() + min(_TIMEOUT_SECONDS, max(0.0, time_left.seconds))
        while waiting:
            for instance_id in _ended(command_id) & waiting:
                answer = _read(document, command_id, instance_id)
                if answer is not None:
                    waiting.remove(instance_id)
                    answers[instance_id] = answer
            if waiting and time.monotonic() >= deadline:
                break
            if waiting:
                time.sleep(_POLL_SECONDS)
    return answers


def _send(
    document: str, parameters: Mapping[str, list[str]], instance_ids: list[str]
) -> Iterator[tuple[str, list[str]]]:
    """Sends one command; splits it if Systems Manager refuses it because one instance no longer exists."""
    try:
        sent = clients.ssm().send_command(
            DocumentName=document,
            DocumentVersion=LATEST_VERSION,
            InstanceIds=instance_ids,
            Parameters=dict(parameters),
            TimeoutSeconds=_DELIVERY_SECONDS,
            # Spread the load: the instances of a fleet may share disks or a network.
            MaxConcurrency="10",
            MaxErrors="100%",
            Comment="Hangdump sweep",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidInstanceId":
            raise
        if len(instance_ids) > 1:
            middle = len(instance_ids) // 2
            yield from _send(document, parameters, instance_ids[:middle])
            yield from _send(document, parameters, instance_ids[middle:])
        return
    yield sent["Command"]["CommandId"], instance_ids


def _ended(command_id: str) -> set[str]:
    pages = clients.ssm().get_paginator("list_command_invocations").paginate(CommandId=command_id)
    return {
        invocation["InstanceId"]
        for page in pages
        for invocation in page["CommandInvocations"]
        if invocation["Status"] not in _STILL_RUNNING
    }


def _read(document: str, command_id: str, instance_id: str) -> Answer | None:
    """None: the invocation has ended but cannot be read yet."""
    try:
        invocation = clients.ssm().get_command_invocation(CommandId=command_id, InstanceId=instance_id)
    except ClientError as error:
        if error.response["Error"]["Code"] == "InvocationDoesNotExist":
            return None
        raise
    try:
        return read_output(document, dict(invocation))
    except HangdumpError as error:
        return error
