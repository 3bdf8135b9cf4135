"""How a command's end becomes a result or a named error."""

import json
from typing import Any

import pytest

from lambdas.handlers import read_document_result
from lambdas.instance.document_result import read_result
from lambdas.runtime.errors import (
    DOCUMENT_ERRORS,
    DocumentFailed,
    DocumentTimedOut,
    HangdumpError,
    InstanceUnreachable,
    UnexpectedResult,
)

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
    result = {"ready": True, "findings": [], "kernel": "6.1.0-28-cloud-amd64", "configId": "0123456789abcdef"}
    given = {"document": "check_kdump", "invocation": invocation("Success", json.dumps(result) + "\n")}
    assert read_document_result.handler(given, context).items() >= result.items()


def test_what_a_document_printed_before_its_own_reboot_does_not_count() -> None:
    stdout = '{"status":"reboot-required"}\n{"status":"configured"}\n'
    assert read_result("configure_kdump", invocation("Success", stdout))["status"] == "configured"


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


FINDING = {"code": "service-disabled", "severity": "error", "observed": "it is off", "remedy": "switch it on"}
CHECK = {"ready": False, "findings": [FINDING], "kernel": "6.1.0-28-cloud-amd64", "configId": "0123456789abcdef"}
FOUND = {"status": "complete", "vmcore": {"path": "/var/crash/1/dump", "sizeBytes": 1, "modifiedEpoch": 1}}


@pytest.mark.parametrize(
    ("document", "result", "said"),
    [
        pytest.param("check_kdump", {}, "ready: Field required", id="nothing"),
        pytest.param("check_kdump", CHECK | {"findings": None}, "findings: Input should be a valid list", id="null"),
        pytest.param("check_kdump", CHECK | {"ready": "yes"}, "ready: Input should be a valid boolean", id="text"),
        pytest.param("check_kdump", CHECK | {"findings": [[]]}, "findings.0", id="nested-list"),
        pytest.param("check_kdump", CHECK | {"findings": [FINDING] * 65}, "findings: List", id="many-findings"),
        pytest.param("check_kdump", CHECK | {"kernel": "6.1 "}, "kernel: String should match", id="kernel"),
        pytest.param("configure_kdump", {"status": ["configured"]}, "status: Input should be", id="list-for-text"),
        pytest.param("prepare_dump_volume", {"status": "prepared", "sizeBytes": 1e20}, "sizeBytes", id="size"),
        pytest.param("upload_vmcore find", FOUND | {"vmcore": "x"}, "vmcore: Input should be", id="vmcore"),
        pytest.param(
            "upload_vmcore find", FOUND | {"vmcore": {"path": "/a b", "sizeBytes": 1}}, "vmcore.path", id="path"
        ),
        pytest.param("upload_vmcore find", FOUND | {"memoryBytes": None}, "memoryBytes", id="memory"),
        pytest.param("upload_vmcore find", {"status": "removed"}, "status: Input should be", id="of-another-action"),
        pytest.param("mount_dump_copy", {"status": "perhaps"}, "status: Input should be", id="status"),
    ],
)
def test_a_result_with_a_wrong_field_is_a_named_error(document: str, result: dict[str, Any], said: str) -> None:
    with pytest.raises(UnexpectedResult) as raised:
        read_result(document, invocation("Success", json.dumps(result)))
    assert f"{document} on {INSTANCE} printed an unexpected result: " in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "stdout",
    [
        pytest.param('{"a":' + "[" * 20_000, id="nested-deeply"),
        pytest.param('{"a":' + "9" * 5_000 + "}", id="long-number"),
    ],
)
def test_output_that_python_cannot_parse_is_no_result(stdout: str) -> None:
    with pytest.raises(DocumentFailed, match="no JSON object"):
        read_result("check_kdump", invocation("Success", stdout))


def test_an_error_that_is_no_text_is_no_known_error() -> None:
    with pytest.raises(DocumentFailed, match="exit code 1"):
        read_result("check_kdump", invocation("Failed", '{"error":["VmcoreNotFound"]}', ResponseCode=1))


def test_a_message_cannot_forge_rows_of_a_notification() -> None:
    message = "none\nVerdict  captured\x1b[2K\u202edetpac\ud800" + "x" * 5_000
    stdout = json.dumps({"error": "VmcoreNotFound", "message": message})
    with pytest.raises(HangdumpError) as raised:
        read_result("upload_vmcore", invocation("Failed", stdout, ResponseCode=1))
    said = str(raised.value)
    assert said.startswith("none Verdict captured\\x1b[2K\\u202edetpac\\ud800xxx")
    assert said.isprintable()
    assert len(said) < 700


def test_a_long_answer_leaves_room_in_the_state_of_the_execution() -> None:
    finding = FINDING | {"observed": "\u202e" * 400, "remedy": "\U0001f600" * 400}
    with pytest.raises(UnexpectedResult, match="more than 16384 bytes"):
        read_result("check_kdump", invocation("Success", json.dumps(CHECK | {"findings": [finding] * 10})))
    result = read_result("check_kdump", invocation("Success", json.dumps(CHECK | {"findings": [finding]})))
    assert len(result["findings"][0]["observed"]) == 500


def test_what_a_newer_document_adds_is_left_out() -> None:
    assert "new" not in read_result("configure_kdump", invocation("Success", '{"status":"configured","new":{}}'))


def test_what_a_dump_lacks_is_there_as_nothing() -> None:
    """RescueVmcore takes these four by their paths."""
    result = read_result("upload_vmcore find", invocation("Success", '{"status":"incomplete"}'))
    assert {name: result[name] for name in ("status", "vmcore", "dmesg", "memoryBytes")} == {
        "status": "incomplete",
        "vmcore": None,
        "dmesg": None,
        "memoryBytes": 0,
    }
