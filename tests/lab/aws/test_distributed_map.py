"""Distributed Map: a list in S3, children in the name of the machine's role; and a rule that starts the machine."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.assembly import role, state_machine, template, write_assembly
from tests.lab.aws.waiting import eventually

BUCKET = "lists"
PUT = {
    "Type": "Task",
    "Resource": "arn:aws:states:::aws-sdk:dynamodb:putItem",
    "Parameters": {"TableName": "T", "Item": {"pk": {"S.$": "$.name"}}},
    "ResultPath": None,
    "Next": "Is it bad?",
}
CHILD = {
    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
    "StartAt": "Put",
    "States": {
        "Put": PUT,
        "Is it bad?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.name", "StringMatches": "bad*", "Next": "Fail"}],
            "Default": "Done",
        },
        "Fail": {"Type": "Fail", "Error": "Bad"},
        "Done": {"Type": "Succeed"},
    },
}
DEFINITION = {
    "StartAt": "Map",
    "States": {
        "Map": {
            "Type": "Map",
            "Label": "Each",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Parameters": {"Bucket": BUCKET, "Key.$": "$.key"},
            },
            "MaxConcurrency": 2,
            "ToleratedFailureCount": 100,
            "ItemProcessor": CHILD,
            "Catch": [{"ErrorEquals": ["States.ItemReaderFailed"], "Next": "Unread"}],
            "End": True,
        },
        "Unread": {"Type": "Pass", "Parameters": {"status": "unread"}, "End": True},
    },
}
PATTERN = {
    "source": ["aws.tag"],
    "detail-type": ["Tag Change on Resource"],
    "detail": {"service": ["ec2"], "resource-type": ["instance"], "changed-tag-keys": ["owner"]},
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
        own = {"Fn::Sub": "arn:aws:states:${AWS::Region}:${AWS::AccountId}:stateMachine:Each"}
        reads = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "dynamodb:PutItem"], "Resource": "*"}
        starts = {"Effect": "Allow", "Action": ["states:StartExecution"], "Resource": own}
        forbidden: dict[str, Any] = state_machine("Forbidden", DEFINITION)
        forbidden["Properties"]["RoleArn"] = {"Fn::GetAtt": ["Reader", "Arn"]}
        allowed: dict[str, Any] = state_machine("Each", DEFINITION)
        allowed["Properties"]["RoleArn"] = {"Fn::GetAtt": ["Starter", "Arn"]}
        target = {"Id": "T", "Arn": {"Ref": "Each"}, "Input": '{"key": "of-a-rule.json"}'}
        targets = [{**target, "RoleArn": {"Fn::GetAtt": [name, "Arn"]}} for name in ("Starter",)]
        rule = {"EventPattern": PATTERN, "State": "ENABLED", "Targets": targets}
        resources = {
            "T": {"Type": "AWS::DynamoDB::Table", "Properties": table},
            "Reader": role(reads),
            "Starter": role(reads, starts),
            "Each": allowed,
            "Forbidden": forbidden,
            "Rule": {"Type": "AWS::Events::Rule", "Properties": rule},
        }
        started.deploy(template(**resources), write_assembly(tmp_path_factory.mktemp("assembly"), {"none.py": ""}))
        s3 = started.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": started.region})
        yield started


def run(account: LabAccount, machine: str, names: list[str]) -> dict[str, Any]:
    body = json.dumps([{"name": name} for name in names]).encode()
    account.client("s3").put_object(Bucket=BUCKET, Key="list.json", Body=body)
    return account.wait_for_execution(account.start_execution(machine, {"key": "list.json"}), timeout_seconds=20)


def put(account: LabAccount) -> set[str]:
    return {item["pk"]["S"] for item in account.client("dynamodb").scan(TableName="T")["Items"]}


def test_every_item_has_a_child(account: LabAccount) -> None:
    ended = run(account, "Each", ["a", "b", "c"])
    assert ended["status"] == "SUCCEEDED"
    assert {"a", "b", "c"} <= put(account)


def test_a_child_that_fails_gives_null_and_fails_nothing(account: LabAccount) -> None:
    """moto. Real: no output at all, and too many of them fail the map."""
    ended = run(account, "Each", ["good", "bad"])
    assert (ended["status"], json.dumps(ended["output"])) == ("SUCCEEDED", '[{"name": "good"}, null]')


def test_a_list_that_cannot_be_read_is_an_error_that_can_be_caught(account: LabAccount) -> None:
    arn = account.start_execution("Each", {"key": "none.json"})
    ended = account.wait_for_execution(arn, timeout_seconds=20)
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", {"status": "unread"})


def test_a_role_that_may_not_start_its_own_machine_has_no_children(account: LabAccount) -> None:
    ended = run(account, "Forbidden", ["never"])
    assert ended["status"] == "FAILED"
    assert "never" not in put(account)


def test_a_rule_starts_a_machine_when_a_tag_of_an_instance_changes(account: LabAccount) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key="of-a-rule.json", Body=b'[{"name": "by the rule"}]')
    instance_id = account.add_instance(ScriptedMachine())
    ec2 = account.client("ec2")
    ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "color", "Value": "blue"}])
    assert "by the rule" not in put(account)

    ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "owner", "Value": "me"}])

    assert eventually(lambda: "by the rule" in put(account))
