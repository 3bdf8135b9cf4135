"""Many items by their keys, against an answer of DynamoDB that is not whole."""

from typing import Any

import pytest

from lambdas.incident.read_items import read_items
from lambdas.incident.update_expression import serialize
from lambdas.runtime import clients
from tests.lambdas import account as aws
from tests.lambdas.account import Account


class Throttled:
    """Answers at most `most` keys a call, in the place of DynamoDB."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked: list[int] = []

    def __call__(self, request: Any) -> dict[str, Any]:
        keys = request["RequestItems"][aws.TABLE]["Keys"]
        self.asked.append(len(keys))
        answered, left = keys[: self.most], keys[self.most :]
        unprocessed = {aws.TABLE: {"Keys": left}} if left else {}
        return {"Responses": {aws.TABLE: answered}, "UnprocessedKeys": unprocessed}


def throttle(account: Account, monkeypatch: pytest.MonkeyPatch, most: int) -> Throttled:
    throttled = Throttled(most)
    monkeypatch.setattr(account, "_BatchGetItem", throttled, raising=False)
    return throttled


def test_what_is_left_unread_is_asked_for_again(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    throttled = throttle(account, monkeypatch, 40)

    items = read_items(aws.TABLE, (f"suspect#{each}" for each in range(120)), is_consistent=True)

    assert (len(items.found), items.unread) == (120, frozenset())
    assert throttled.asked == [100, 60, 20, 20]


def test_a_table_that_answers_nothing_is_not_asked_for_ever(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    throttled = throttle(account, monkeypatch, 0)

    items = read_items(aws.TABLE, ["budget#0"], is_consistent=True)

    assert items.found == {}
    assert items.unread == {"budget#0"}
    assert 1 < len(throttled.asked) < 10


def test_a_key_without_an_item_is_read_and_not_found(account: Account) -> None:
    clients.dynamodb().put_item(TableName=aws.TABLE, Item=serialize({"pk": "proof#a", "vmcoreBytes": 1}))

    items = read_items(aws.TABLE, ["proof#a", "proof#b", "proof#a"], is_consistent=False)

    assert items.found == {"proof#a": {"pk": "proof#a", "vmcoreBytes": 1}}
    assert items.unread == frozenset()
