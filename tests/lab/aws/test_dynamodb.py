"""A transaction is isolated from what others write at the same time."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models import DynamoDBBackend

from lab.aws.account import LabAccount

TABLE = "T"


@pytest.fixture(scope="module")
def account() -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.01) as started:
        started.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield started


def test_a_transaction_that_fails_undoes_nothing_that_another_wrote_meanwhile(
    account: LabAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb, original = account.client("dynamodb"), DynamoDBBackend.get_item
    began, wrote = threading.Event(), threading.Event()

    def get_item(backend: DynamoDBBackend, *args: Any, **kwargs: Any) -> Any:
        """In the middle of the transaction: the other gets its chance."""
        if not began.is_set():
            began.set()
            wrote.wait(timeout=0.3)
        return original(backend, *args, **kwargs)

    def write() -> None:
        began.wait(timeout=5)
        dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": "of another"}})
        wrote.set()

    monkeypatch.setattr(DynamoDBBackend, "get_item", get_item)
    other = threading.Thread(target=write)
    other.start()
    never = {"TableName": TABLE, "Key": {"pk": {"S": "own"}}, "ConditionExpression": "attribute_exists(pk)"}
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.transact_write_items(TransactItems=[{"ConditionCheck": never}])
    other.join(timeout=10)
    monkeypatch.undo()
    assert "Item" in dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": "of another"}})
