"""The interpreter as AWS's own: error names, JSON results, start semantics, stopping."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.backend.execution import Execution

from lab.aws import stepfunctions
from lab.aws.account import LabAccount
from lab.aws.stepfunctions import as_json, java_exception
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.assembly import document, function, state_machine, template, write_assembly
from tests.lab.aws.waiting import eventually

CODE = """
class NotToday(Exception):
    pass

def handler(event, context):
    if event.get("fail"):
        raise NotToday("because")
    return event["character"] * event["count"] if "count" in event else event
"""


def _task(resource: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One task whose error ends up, by name, as the error of the execution."""
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Fail"}]
    task = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": parameters, "Catch": catch}
    fail = {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"}
    return {"StartAt": "Do", "States": {"Do": {**task, "End": True, **more}, "Fail": fail}}


def _sdk(action: str, **parameters: Any) -> dict[str, Any]:
    return _task(f"aws-sdk:{action}", parameters)


_CAUGHT = {
    "Type": "Task",
    "Resource": "${function}",
    "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}],
    "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Caught"}],
}


def _caught(**fields: Any) -> dict[str, Any]:
    """One task that catches and retries whatever it may, and a Fail that shows what it caught."""
    return {
        "StartAt": "Do",
        "States": {
            "Do": {**_CAUGHT, "Next": "Done", **fields},
            "Done": {"Type": "Succeed"},
            "Caught": {"Type": "Fail", "Error": "Caught"},
        },
    }


def _choice(rule: dict[str, Any]) -> dict[str, Any]:
    ends = {each: {"Type": "Pass", "Result": each, "End": True} for each in ("Matched", "Default")}
    choice = {"Type": "Choice", "Choices": [{**rule, "Next": "Matched"}], "Default": "Default"}
    return {"StartAt": "Choose", "States": {"Choose": choice, **ends}}


_ABSENT = {"Variable": "$.absent", "StringEquals": "x"}
_IS_PRESENT = {"Variable": "$.absent", "IsPresent": True}
# What ends an execution as States.Runtime, whatever it catches.
ENDED_BY_A_PATH = {
    "AbsentInParameters": _caught(Parameters={"a.$": "$.absent"}),
    "AbsentInParametersOfSdk": _caught(
        Resource="arn:aws:states:::aws-sdk:ec2:deleteVolume", Parameters={"VolumeId.$": "$.absent"}
    ),
    "AbsentInInputPath": _caught(InputPath="$.absent"),
    "AbsentInResultSelector": _caught(ResultSelector={"a.$": "$.absent"}),
    "AbsentInAssign": _caught(Assign={"a.$": "$.absent"}),
    "FailingIntrinsic": _caught(Parameters={"a.$": "States.StringToJson($.text)"}),
    "AbsentInIntrinsic": _caught(Parameters={"a.$": "States.Format('{}', $.absent)"}),
    "AbsentInChoice": _choice(_ABSENT),
    "AbsentInNot": _choice({"Not": _ABSENT}),
    "AbsentIsString": _choice({"Variable": "$.absent", "IsString": True}),
    "AbsentAfterOr": _choice({"Or": [_IS_PRESENT, _ABSENT]}),
}
# A rule is read from left to right, no further than needed.
GUARDED = {
    "GuardedByAnd": (_choice({"And": [_IS_PRESENT, _ABSENT]}), "Default"),
    "GuardedByOr": (_choice({"Or": [{"Variable": "$.text", "StringEquals": "{"}, _ABSENT]}), "Matched"),
    "NotPresent": (_choice({"Not": _IS_PRESENT}), "Matched"),
}
MACHINES = {
    **ENDED_BY_A_PATH,
    **{name: definition for name, (definition, _) in GUARDED.items()},
    # ExecutionStarted, two events for each of the nine, ExecutionSucceeded: 20.
    "Nine": {
        "StartAt": "1",
        "States": {
            str(number): {"Type": "Pass", **({"Next": str(number + 1)} if number < 9 else {"End": True})}
            for number in range(1, 10)
        },
    },
    "DescribeInstances": _sdk("ec2:describeInstances"),
    "NoVolume": _sdk("ec2:deleteVolume", VolumeId="vol-0123456789abcdef0"),
    "Retried": _task(
        "aws-sdk:ec2:deleteVolume",
        {"VolumeId": "vol-0123456789abcdef0"},
        Retry=[{"ErrorEquals": ["Ec2.Ec2Exception"], "IntervalSeconds": 60, "MaxAttempts": 2, "MaxDelaySeconds": 61}],
    ),
    "NoInvocation": _sdk("ssm:getCommandInvocation", CommandId="0" * 36, InstanceId="i-0"),
    "NoInstance": _sdk("ssm:sendCommand", DocumentName="Say", InstanceIds=["i-0"]),
    "Taken": _sdk(
        "dynamodb:putItem", TableName="T", Item={"pk": {"S": "x"}}, ConditionExpression="attribute_exists(pk)"
    ),
    "NoGroup": _sdk("autoscaling:enterStandby", AutoScalingGroupName="nobody", ShouldDecrementDesiredCapacity=True),
    "OwnIntegration": _sdk("sfn:describeExecution", **{"ExecutionArn.$": "$$.Execution.Id"}),
    "Invoke": _task("lambda:invoke", {"FunctionName": "${function}", "Payload.$": "$"}, OutputPath="$.Payload"),
    "Context": {
        "StartAt": "See",
        "States": {
            "See": {"Type": "Pass", "Parameters": {"start.$": "$$.Execution.StartTime"}, "Next": "Invoke"},
            "Invoke": {"Type": "Task", "Resource": "${function}", "End": True},
        },
    },
    "Select": _task(
        "aws-sdk:ec2:describeInstanceTypes",
        {"InstanceTypes": ["m5.large"]},
        ResultSelector={"first.$": "$.InstanceTypes[0].Hypervisor"},
    ),
    "Large": {
        "StartAt": "Make",
        "States": {
            "Make": {**_CAUGHT, "ResultPath": "$.first", "Next": "Make more"},
            "Make more": {**_CAUGHT, "ResultPath": "$.second", "Next": "Drop"},
            "Drop": {"Type": "Pass", "OutputPath": "$.count", "Next": "Done"},
            "Done": {"Type": "Succeed"},
            "Caught": {"Type": "Succeed"},
        },
    },
    "Wait": {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}},
    "Until": {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "TimestampPath": "$.until", "End": True}}},
    "Original": {
        "StartAt": "Note",
        "States": {
            "Note": {"Type": "Pass", "Result": {"Error": "States.Timeout", "Cause": "slow"}, "Next": "Fail"},
            "Fail": {"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"},
        },
    },
    "Late": {"StartAt": "Wait", "TimeoutSeconds": 1, "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}},
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.01, settle_seconds=0.1) as started:
        table = {
            "TableName": "T",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        }
        function_arn = {"Fn::GetAtt": ["F", "Arn"]}
        resources = {
            "T": {"Type": "AWS::DynamoDB::Table", "Properties": table},
            "F": function("code.handler", Timeout=5),
            "Say": document("Say", ["echo"]),
            **{name: state_machine(name, definition, function=function_arn) for name, definition in MACHINES.items()},
        }
        started.deploy(template(**resources), write_assembly(tmp_path_factory.mktemp("assembly"), {"code.py": CODE}))
        yield started


def _run(account: LabAccount, name: str, **execution_input: Any) -> dict[str, Any]:
    return account.wait_for_execution(account.start_execution(name, execution_input), timeout_seconds=20)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("NoVolume", "Ec2.Ec2Exception"),
        ("NoInvocation", "Ssm.InvocationDoesNotExistException"),
        ("NoInstance", "Ssm.InvalidInstanceIdException"),
        ("Taken", "DynamoDb.ConditionalCheckFailedException"),
    ],
)
def test_sdk_errors_have_their_names_of_aws(account: LabAccount, name: str, error: str) -> None:
    ended = _run(account, name)
    assert (ended["status"], ended["error"]) == ("FAILED", error)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("ThrottlingException", "ThrottlingException"),
        ("InvalidArn", "InvalidArnException"),
        ("InternalServiceFault", "InternalServiceException"),
        ("KMSThrottlingException", "KmsThrottlingException"),
    ],
)
def test_errors_are_classes_of_the_java_sdk(shape: str, expected: str) -> None:
    assert java_exception(shape) == expected


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Kolkata"])
def test_a_wait_until_a_time_is_as_long_in_every_time_zone(
    account: LabAccount, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as there:
        there.setenv("TZ", zone)
        time.tzset()
        begun = datetime.now(UTC)
        until = (begun + timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
        ended = _run(account, "Until", until=until)
        waited = datetime.now(UTC) - begun
    time.tzset()
    assert ended["status"] == "SUCCEEDED"
    # Two parts of a second are cut off: of the time in the text, and by moto of the rest.
    assert waited >= timedelta(seconds=1)


def test_the_minutes_between_attempts_are_scaled(account: LabAccount) -> None:
    arn = account.start_execution("Retried", {})
    account.wait_for_execution(arn, timeout_seconds=20)
    events = account.client("stepfunctions").get_execution_history(executionArn=arn)["events"]
    assert [event["type"] for event in events].count("TaskFailed") == 3


def test_a_failure_passes_on_the_error_it_was_told(account: LabAccount) -> None:
    ended = _run(account, "Original")
    assert (ended["error"], ended["cause"]) == ("States.Timeout", "slow")


def test_a_functions_error_is_its_exceptions_class_name(account: LabAccount) -> None:
    ended = _run(account, "Invoke", fail=True)
    assert ended["error"] == "NotToday"
    assert json.loads(ended["cause"])["errorMessage"] == "because"


def test_times_in_results_are_text_and_describe_execution_shows_them(account: LabAccount) -> None:
    instance_id = account.add_instance(ScriptedMachine())
    arn = account.start_execution("DescribeInstances", {})
    account.wait_for_execution(arn, timeout_seconds=20)
    output = json.loads(account.client("stepfunctions").describe_execution(executionArn=arn)["output"])
    found = [i for r in output["Reservations"] for i in r["Instances"] if i["InstanceId"] == instance_id]
    launched = datetime.fromisoformat(found[0]["LaunchTime"])
    assert launched.tzinfo is not None


def test_the_start_time_of_an_execution_is_text(account: LabAccount) -> None:
    ended = _run(account, "Context")
    assert ended["status"] == "SUCCEEDED"
    assert ended["output"]["start"].endswith("Z")
    assert (datetime.now(UTC) - datetime.fromisoformat(ended["output"]["start"])).total_seconds() < 30


def test_a_path_to_one_value_in_a_list_gives_the_value(account: LabAccount) -> None:
    assert _run(account, "Select")["output"] == {"first": "nitro"}


def test_executions_without_a_name_do_not_collide(account: LabAccount) -> None:
    stepfunctions = account.client("stepfunctions")
    machine = f"arn:aws:states:{account.region}:{account.account_id}:stateMachine:DescribeInstances"
    arns = {stepfunctions.start_execution(stateMachineArn=machine)["executionArn"] for _ in range(2)}
    assert len(arns) == 2


def test_a_name_is_taken_once(account: LabAccount) -> None:
    stepfunctions = account.client("stepfunctions")
    machine = f"arn:aws:states:{account.region}:{account.account_id}:stateMachine:Wait"
    request = {"stateMachineArn": machine, "name": "once", "input": '{"a": 1}'}
    first = stepfunctions.start_execution(**request)["executionArn"]
    assert stepfunctions.start_execution(**request)["executionArn"] == first
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        stepfunctions.start_execution(**{**request, "input": '{"a": 2}'})
    stepfunctions.stop_execution(executionArn=first)
    account.wait_for_execution(first, timeout_seconds=30)
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        stepfunctions.start_execution(**request)


@pytest.mark.parametrize("name", ["x" * 81, "with space", "a:b"])
def test_a_name_that_aws_refuses_is_refused(account: LabAccount, name: str) -> None:
    machine = f"arn:aws:states:{account.region}:{account.account_id}:stateMachine:Wait"
    with pytest.raises(ClientError, match="InvalidName"):
        account.client("stepfunctions").start_execution(stateMachineArn=machine, name=name)


def test_a_stopped_execution_is_aborted(account: LabAccount) -> None:
    stepfunctions, arn = account.client("stepfunctions"), account.start_execution("Wait", {})
    stepfunctions.stop_execution(executionArn=arn)
    assert eventually(lambda: stepfunctions.describe_execution(executionArn=arn)["status"] == "ABORTED")


def test_an_execution_that_has_ended_says_how_at_once(account: LabAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def record(execution: Execution, name: str, value: Any) -> None:
        object.__setattr__(execution, name, value)
        if name == "exec_status" and value is not None:
            seen.append((execution, execution.status, execution.error))

    monkeypatch.setattr(Execution, "__setattr__", record)
    _run(account, "Original")
    started = seen[0][0]
    said = [(status, error) for execution, status, error in seen if execution is started]
    assert said == [("RUNNING", None), ("FAILED", "States.Timeout")]


def test_an_execution_that_timed_out_says_when(account: LabAccount) -> None:
    stepfunctions, arn = account.client("stepfunctions"), account.start_execution("Late", {})
    assert eventually(lambda: stepfunctions.describe_execution(executionArn=arn)["status"] == "TIMED_OUT")
    assert stepfunctions.describe_execution(executionArn=arn)["stopDate"]


def test_the_history_holds_the_states_and_the_timeline_too(account: LabAccount) -> None:
    arn = account.start_execution("Context", {})
    account.wait_for_execution(arn, timeout_seconds=20)
    events = account.client("stepfunctions").get_execution_history(executionArn=arn)["events"]
    entered = [e["stateEnteredEventDetails"]["name"] for e in events if e["type"].endswith("StateEntered")]
    assert entered == ["See", "Invoke"]
    assert [e.text for e in account.events.matching("stepfunctions", "Context See")]


def test_the_newest_events_come_first_and_alone_when_asked_so(account: LabAccount) -> None:
    arn = account.start_execution("Context", {})
    account.wait_for_execution(arn, timeout_seconds=20)
    history = account.client("stepfunctions").get_execution_history
    every = [each["id"] for each in history(executionArn=arn)["events"]]
    newest = history(executionArn=arn, reverseOrder=True, maxResults=3)["events"]
    assert [each["id"] for each in newest] == every[::-1][:3]


def test_an_unknown_service_has_no_guessed_error_name(account: LabAccount) -> None:
    ended = _run(account, "NoGroup")
    assert ended["status"] == "FAILED"
    assert "SERVICE_NAMES" in str(ended["cause"])


def test_results_become_json() -> None:
    time = datetime(2026, 11, 23, 4, 0, 0, 123456, tzinfo=UTC)
    assert as_json({"a": [time, b"x", 1]}) == {"a": ["2026-11-23T04:00:00.123Z", "x", 1]}


def test_speaks_pascal_case_to_its_own_integration_too(account: LabAccount) -> None:
    ended = account.wait_for_execution(account.start_execution("OwnIntegration", {}), timeout_seconds=30)
    assert ended["output"]["Status"] == "RUNNING"


@pytest.mark.parametrize(
    ("character", "count"),
    [
        pytest.param("x", 300_000, id="a-result"),
        pytest.param("é", 140_000, id="bytes-not-characters"),
        pytest.param("x", 140_000, id="two-results-in-one-state"),
    ],
)
def test_more_data_than_a_state_may_have_ends_the_execution_uncaught(
    account: LabAccount, character: str, count: int
) -> None:
    ended = _run(account, "Large", character=character, count=count)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")


@pytest.mark.parametrize(("most", "status"), [(20, "SUCCEEDED"), (19, "FAILED"), (10, "FAILED"), (11, "FAILED")])
def test_an_execution_whose_last_possible_event_is_not_its_end_fails(
    account: LabAccount, monkeypatch: pytest.MonkeyPatch, most: int, status: str
) -> None:
    monkeypatch.setattr(stepfunctions, "MOST_EVENTS", most)
    ended = _run(account, "Nine")
    assert ended["status"] == status
    if status == "FAILED":
        assert ended["error"] == "States.Runtime"
        assert "maximum number of history events" in ended["cause"]


@pytest.mark.parametrize("name", ENDED_BY_A_PATH)
def test_a_path_without_a_value_ends_the_execution_uncaught(account: LabAccount, name: str) -> None:
    ended = _run(account, name, text="{")
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


@pytest.mark.parametrize("name", GUARDED)
def test_a_guarded_path_is_not_read(account: LabAccount, name: str) -> None:
    ended = _run(account, name, text="{")
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", GUARDED[name][1])


def test_data_below_the_limit_passes(account: LabAccount) -> None:
    ended = _run(account, "Large", character="x", count=120_000)
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", 120_000)
