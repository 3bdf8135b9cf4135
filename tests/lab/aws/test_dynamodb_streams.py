"""A stream hands each change to a function: in order, filtered, again after errors, and none that was undone."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount
from tests.lab.aws.assembly import function, template, write_assembly
from tests.lab.aws.waiting import eventually

HANDLER = """
import json
seen = {}
def handler(event, context):
    (record,) = event["Records"]
    change = record["dynamodb"]
    key = change["Keys"]["pk"]["S"]
    seen[key] = seen.get(key, 0) + 1
    if key == "told#fails-once" and seen[key] == 1 or key == "told#fails":
        raise ValueError(key)
    print(json.dumps([record["eventName"], key, change.get("OldImage"), change.get("NewImage")]))
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.01, settle_seconds=0.1) as started:
        properties = {
            "TableName": "T",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
        }
        mapping = {
            "FunctionName": {"Ref": "Told"},
            "EventSourceArn": {"Fn::GetAtt": ["T", "StreamArn"]},
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 1,
            "MaximumRetryAttempts": 2,
            "FilterCriteria": {"Filters": [{"Pattern": '{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"told#"}]}}}}'}]},
        }
        resources = {
            "T": {"Type": "AWS::DynamoDB::Table", "Properties": properties},
            "Told": function("told.handler", FunctionName="Told"),
            "Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping},
        }
        started.deploy(template(**resources), write_assembly(tmp_path_factory.mktemp("assembly"), {"told.py": HANDLER}))
        yield started


def told(account: LabAccount) -> list[Any]:
    return [json.loads(line) for line in account.logs.get("Told", []) if line.startswith("[")]


def test_changes_reach_the_function_in_their_order_with_both_images(account: LabAccount) -> None:
    dynamodb = account.client("dynamodb")
    dynamodb.put_item(TableName="T", Item={"pk": {"S": "other#1"}})
    dynamodb.put_item(TableName="T", Item={"pk": {"S": "told#1"}})
    dynamodb.put_item(TableName="T", Item={"pk": {"S": "told#1"}, "n": {"N": "2"}})

    old, new = {"pk": {"S": "told#1"}}, {"pk": {"S": "told#1"}, "n": {"N": "2"}}
    expected = [["INSERT", "told#1", None, old], ["MODIFY", "told#1", old, new]]
    assert eventually(lambda: [each for each in told(account) if each[1] in ("told#1", "other#1")] == expected)


def test_a_failed_change_comes_again_and_at_last_gives_way(account: LabAccount) -> None:
    for key in ("told#fails-once", "told#fails", "told#behind"):
        account.client("dynamodb").put_item(TableName="T", Item={"pk": {"S": key}})
    assert eventually(lambda: any(each[1] == "told#behind" for each in told(account)))
    assert [each[1] for each in told(account)][-2:] == ["told#fails-once", "told#behind"]


def test_what_a_failed_transaction_wrote_is_no_change(account: LabAccount) -> None:
    dynamodb = account.client("dynamodb")
    never = {"TableName": "T", "Key": {"pk": {"S": "absent"}}, "ConditionExpression": "attribute_exists(pk)"}
    undone = {"Put": {"TableName": "T", "Item": {"pk": {"S": "told#undone"}}}}
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.transact_write_items(TransactItems=[undone, {"ConditionCheck": never}])
    done = {"Put": {"TableName": "T", "Item": {"pk": {"S": "told#done"}}}}
    dynamodb.transact_write_items(TransactItems=[done])

    assert eventually(lambda: any(each[1] == "told#done" for each in told(account)))
    assert not any(each[1] == "told#undone" for each in told(account))


def test_an_update_that_makes_an_item_is_one_change(account: LabAccount) -> None:
    account.client("dynamodb").update_item(
        TableName="T",
        Key={"pk": {"S": "told#made"}},
        UpdateExpression="SET n = :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    made = ["INSERT", "told#made", None, {"pk": {"S": "told#made"}, "n": {"N": "1"}}]
    assert eventually(lambda: [each for each in told(account) if each[1] == "told#made"] == [made])
