"""Functions: their environment, their errors, their time-outs, their processes."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.aws.lambda_ import FunctionFailed, permits
from tests.lab.aws.assembly import function, template, write_assembly
from tests.lab.aws.waiting import eventually

MODULE = """
import os, sys, time

class Refused(Exception):
    pass

def handler(event, context):
    verb = event.get("do")
    if verb == "raise":
        raise Refused("not today")
    if verb == "sleep":
        time.sleep(event["seconds"])
    if verb == "exit":
        os._exit(3)
    if verb == "say":
        print("said", event["word"])
    return {
        "environment": dict(os.environ),
        "process": os.getpid(),
        "remaining": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
    }

def call_ec2(event, context):
    import boto3
    return boto3.client("ec2").describe_instances()["Reservations"]

def import_native(event, context):
    import markupsafe
    return markupsafe.__file__

def import_foreign(event, context):
    import rich

def fail_always(event, context):
    print("tried")
    raise Refused("never")
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.005, settle_seconds=0.1) as started:
        files = {
            "code.py": MODULE,
            # As a wheel for the functions' architecture would leave them in the bundle.
            "markupsafe/__init__.py": "raise RuntimeError('the bundled build must not be imported')",
            "markupsafe/_speedups.cpython-314-aarch64-linux-gnu.so": "not for this processor",
        }
        assembly = write_assembly(tmp_path_factory.mktemp("assembly"), files)
        environment = {"Variables": {"COLOUR": "red"}}
        config = {
            "FunctionName": {"Ref": "Failing"},
            "Qualifier": "$LATEST",
            "MaximumRetryAttempts": 2,
            "DestinationConfig": {"OnFailure": {"Destination": {"Ref": "Topic"}}},
        }
        resources = {
            "F": function("code.handler", FunctionName="F", Timeout=1, Environment=environment),
            "Ec2": function("code.call_ec2", FunctionName="Ec2", Timeout=10),
            "Native": function("code.import_native", FunctionName="Native", Timeout=10),
            "Foreign": function("code.import_foreign", FunctionName="Foreign"),
            "Missing": function("nowhere.handler", FunctionName="Missing"),
            "Failing": function("code.fail_always", FunctionName="Failing"),
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "Failures"}},
            "Config": {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": config},
        }
        started.deploy(template(**resources), assembly)
        yield started


def test_a_function_has_the_templates_environment_and_the_runtimes_and_no_other(
    account: LabAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "from the lab")
    result = account.invoke("F", {})
    found = result["environment"]
    assert found["COLOUR"] == "red"
    assert found["AWS_LAMBDA_FUNCTION_NAME"] == "F"
    assert found["AWS_REGION"] == account.region
    assert found["AWS_ENDPOINT_URL"] == account.endpoint_url
    assert not {"LEAKED", "HOME", "PYTHONPATH", "VIRTUAL_ENV"} & set(found)
    assert 0 < result["remaining"] <= 1000
    assert result["arn"].endswith(":function:F")


def test_an_exception_is_reported_with_its_class_name(account: LabAccount) -> None:
    answer = account.client("lambda").invoke(FunctionName="F", Payload=json.dumps({"do": "raise"}))
    error = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("Refused", "not today")
    assert "in handler" in error["stackTrace"][0]


def test_a_function_that_exceeds_its_timeout_is_killed(account: LabAccount) -> None:
    with pytest.raises(FunctionFailed, match=r"Sandbox.Timedout: .* Task timed out after 1.00 seconds"):
        account.invoke("F", {"do": "sleep", "seconds": 5})
    assert account.invoke("F", {})["environment"]["COLOUR"] == "red"


def test_a_process_that_exits_is_an_error_of_the_runtime(account: LabAccount) -> None:
    with pytest.raises(FunctionFailed, match=r"Runtime\.ExitError"):
        account.invoke("F", {"do": "exit"})


def test_a_missing_module_is_named(account: LabAccount) -> None:
    with pytest.raises(FunctionFailed, match=r"Runtime\.ImportModuleError: .*nowhere"):
        account.invoke("Missing", {})


def test_a_warm_process_is_used_again_and_two_at_once_are_two(account: LabAccount) -> None:
    first = account.invoke("F", {})["process"]
    assert account.invoke("F", {})["process"] == first
    found: list[int] = []

    def call() -> None:
        found.append(account.invoke("F", {"do": "sleep", "seconds": 0.5})["process"])

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2


def test_boto3_comes_with_the_runtime_and_reaches_the_account(account: LabAccount) -> None:
    assert account.invoke("Ec2", {}) == []


def test_native_packages_of_the_bundle_come_from_the_local_environment(account: LabAccount) -> None:
    assert "site-packages" in account.invoke("Native", {})


def test_a_package_that_is_not_in_the_bundle_cannot_be_imported(account: LabAccount) -> None:
    with pytest.raises(FunctionFailed, match="No module named 'rich'"):
        account.invoke("Foreign", {})


def test_what_a_function_prints_is_in_its_log(account: LabAccount) -> None:
    account.invoke("F", {"do": "say", "word": "hello"})
    assert eventually(lambda: "said hello" in account.logs["F"])


def test_an_asynchronous_event_is_tried_three_times_and_then_reported(account: LabAccount) -> None:
    answer = account.client("lambda").invoke(FunctionName="Failing", InvocationType="Event", Payload=b'{"id": 7}')
    assert answer["StatusCode"] == 202
    assert eventually(lambda: bool(account.notifications))
    assert account.logs["Failing"].count("tried") == 3
    record = json.loads(account.notifications[0].message)
    assert record["requestPayload"] == {"id": 7}
    assert record["responsePayload"]["errorType"] == "Refused"


def test_architecture_is_that_of_the_template(account: LabAccount) -> None:
    assert account.client("lambda").get_function_configuration(FunctionName="F")["Architectures"] == ["arm64"]


STATEMENT = {
    "Effect": "Allow",
    "Action": "lambda:InvokeFunction",
    "Principal": {"Service": "events.amazonaws.com"},
    "Condition": {"ArnLike": {"AWS:SourceArn": "arn:rule/a*"}, "StringEquals": {"AWS:SourceAccount": "1"}},
}


@pytest.mark.parametrize(
    ("changed", "principal", "source", "account_id", "expected"),
    [
        ({}, "events.amazonaws.com", "arn:rule/abc", "1", True),
        ({}, "sns.amazonaws.com", "arn:rule/abc", "1", False),
        ({}, "events.amazonaws.com", "arn:rule/b", "1", False),
        ({}, "events.amazonaws.com", "arn:rule/abc", "2", False),
        ({"Effect": "Deny"}, "events.amazonaws.com", "arn:rule/abc", "1", False),
        ({"Action": "lambda:GetFunction"}, "events.amazonaws.com", "arn:rule/abc", "1", False),
    ],
    ids=["permitted", "other principal", "other source", "other account", "denied", "other action"],
)
def test_a_resource_policy_permits(changed: Any, principal: str, source: str, account_id: str, expected: bool) -> None:
    assert permits([{**STATEMENT, **changed}], principal, source, account_id) is expected


def test_an_invocation_of_a_warm_function_is_fast(account: LabAccount) -> None:
    account.invoke("F", {})
    started = time.monotonic()
    account.invoke("F", {})
    assert time.monotonic() - started < 0.5
