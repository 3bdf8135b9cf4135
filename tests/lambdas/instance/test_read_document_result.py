"""How a command's end becomes a result or a named error."""

import json
from typing import Any

import pytest

from lambdas.handlers import read_document_result
from lambdas.instance.document_result import read_result
from lambdas.runtime.errors import DOCUMENT_ERRORS, DocumentFailed, DocumentTimedOut, HangdumpError, InstanceUnreachable

INSTANCE = "i-0123456789abcdef0"


def invocation(status: str, stdout: str = "", **more: Any) -> dict[str, Any]:
    """GetCommandInvocation's answer as Step Functions hands it over."""
    return {
        "CommandId": "c-1",
        "InstanceId": INSTANCE,
        "Status": status,
        "StatusDetails": status,
        "ResponseCode": 0,
        "StandardOutputContent": stdout,
        "StandardErrorContent": "",
    } | more


def test_the_result_of_a_document_is_its_json_object(context: Any) -> None:
    given = {"document": "check_kdump", "invocation": invocation("Success", '{"ready":true,"findings":[]}\n')}
    assert read_document_result.handler(given, context) == {"ready": True, "findings": []}


def test_what_a_document_printed_before_its_own_reboot_does_not_count() -> None:
    stdout = '{"status":"reboot-required"}\n{"status":"configured"}\n'
    assert read_result("configure_kdump", invocation("Success", stdout)) == {"status": "configured"}


@pytest.mark.parametrize("code", sorted(DOCUMENT_ERRORS))
def test_a_document_names_its_error(code: str) -> None:
    stdout = json.dumps({"error": code, "message": "what happened, and what to do"})
    with pytest.raises(HangdumpError, match="what happened, and what to do") as raised:
        read_result("some_document", invocation("Failed", stdout, ResponseCode=1))
    assert type(raised.value).__name__ == code
    assert INSTANCE in str(raised.value)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        pytest.param(
            invocation("Failed", StatusDetails="Undeliverable"),
            InstanceUnreachable,
            "never reached",
            id="undeliverable",
        ),
        pytest.param(
            invocation("TimedOut", StatusDetails="Delivery Timed Out"), InstanceUnreachable, "never", id="not-delivered"
        ),
        pytest.param(
            invocation("TimedOut", StatusDetails="ExecutionTimedOut", StandardErrorContent="copying"),
            DocumentTimedOut,
            "copying",
            id="too-slow",
        ),
        pytest.param(
            invocation("Failed", ResponseCode=127, StandardErrorContent="x" * 3000 + "jq: not found"),
            DocumentFailed,
            "exit code 127. End of its stderr: xxx",
            id="died",
        ),
        pytest.param(
            invocation("Failed", '{"error":"Whatever","message":"made up"}', ResponseCode=1),
            DocumentFailed,
            "exit code 1",
            id="error-of-no-known-name",
        ),
        pytest.param(invocation("Cancelled"), DocumentFailed, "ended as Cancelled", id="cancelled"),
        pytest.param(invocation("Success", ""), DocumentFailed, "it printed nothing", id="nothing"),
        pytest.param(invocation("Success", "done"), DocumentFailed, "no JSON object: 'done'", id="no-json"),
        pytest.param(invocation("Success", "[1]"), DocumentFailed, "no JSON object", id="a-list"),
        pytest.param(
            invocation("Success", '{"a":"' + "x" * 24_000), DocumentFailed, "was cut at 24000 characters", id="cut"
        ),
        pytest.param(invocation("InProgress"), DocumentFailed, "ended as InProgress", id="not-even-ended"),
    ],
)
def test_an_end_without_a_result(given: dict[str, Any], error: type[HangdumpError], said: str) -> None:
    with pytest.raises(error) as raised:
        read_result("upload_vmcore", given)
    assert said in str(raised.value)
    assert f"upload_vmcore on {INSTANCE} (command c-1)" in str(raised.value)
    assert len(str(raised.value)) < 2_000, "a Cause is read by humans"
