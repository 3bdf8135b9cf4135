"""Turns the end of a document's command into its JSON result or a named error. Calls no AWS API."""

import json
from typing import Any

from lambdas.instance.document_models import LONGEST_MESSAGE, model_of, read_as
from lambdas.runtime.errors import DOCUMENT_ERRORS, DocumentFailed, DocumentTimedOut, InstanceUnreachable
from lambdas.runtime.visible_text import one_line

# GetCommandInvocation keeps this much of stdout.
_STDOUT_LIMIT = 24_000
_STDERR_TAIL = 1_000
_TIMED_OUT = {"TimedOut", "ExecutionTimedOut"}
_UNREACHED = {"Undeliverable", "DeliveryTimedOut"}


def read_result(document: str, invocation: dict[str, Any]) -> dict[str, Any]:
    """Every field of the document's model, of the right form and length. `document` as model_of knows it.

    The states that follow rely on all of them: a path that leads nowhere ends an execution, and nothing catches that.
    Raises UnexpectedResult, and what read_output raises.
    """
    output = read_output(document, invocation)
    read = read_as(model_of(document, output), output, source=f"{document} on {invocation.get('InstanceId', '?')}")
    return read.model_dump(by_alias=True)


def read_output(document: str, invocation: dict[str, Any]) -> dict[str, Any]:
    """The JSON object that the document printed, whatever is in it.

    Raises the error that the document named, or InstanceUnreachable, DocumentTimedOut, DocumentFailed.
    """
    command = f"{document} on {invocation.get('InstanceId', '?')} (command {invocation.get('CommandId', '?')})"
    status = invocation.get("Status", "")
    details = (invocation.get("StatusDetails") or status).replace(" ", "")
    if details in _UNREACHED:
        raise InstanceUnreachable(
            f"{command} never reached the instance: {details}.",
            "Check that the instance runs and its SSM agent is connected, then start again.",
        )
    if details in _TIMED_OUT or status == "TimedOut":
        raise DocumentTimedOut(
            f"{command} did not end in time: {details}.{_stderr(invocation)}",
            "Find out why; if it was only slow, raise documentTimeoutSeconds or uploadTimeoutSeconds.",
        )
    result = parse_object(invocation.get("StandardOutputContent") or "")
    if status == "Success":
        if result is not None:
            return result
        raise DocumentFailed(f"{command} succeeded, but {_why_unreadable(invocation)}", "See the command's output.")
    named = DOCUMENT_ERRORS.get(str(result.get("error"))) if result is not None else None
    if result is not None and named is not None:
        raise named(f"{one_line(str(result.get('message', '')), LONGEST_MESSAGE)} [{command}]")
    raise DocumentFailed(
        f"{command} ended as {details or 'unknown'} with exit code {invocation.get('ResponseCode', '?')}."
        f"{_stderr(invocation)}",
        "See the command's output in Systems Manager.",
    )


def parse_object(stdout: str) -> dict[str, Any] | None:
    """Parses the last line: after its own reboot a document runs again, and the first run's output stands before.

    None: it is no JSON object, or one nested too deeply, or with a number too long for Python.
    """
    lines = stdout.strip().splitlines()
    try:
        result = json.loads(lines[-1]) if lines else None
    except (ValueError, RecursionError):
        return None
    return result if isinstance(result, dict) else None


def _why_unreadable(invocation: dict[str, Any]) -> str:
    stdout = invocation.get("StandardOutputContent") or ""
    if len(stdout) >= _STDOUT_LIMIT or "--output truncated--" in stdout:
        return f"its output was cut at {_STDOUT_LIMIT} characters."
    if not stdout.strip():
        return "it printed nothing."
    return f"its output is no JSON object: {stdout.strip()[:200]!r}."


def _stderr(invocation: dict[str, Any]) -> str:
    text = (invocation.get("StandardErrorContent") or "").strip()
    return f" End of its stderr: {one_line(text[-_STDERR_TAIL:], _STDERR_TAIL)}" if text else ""
