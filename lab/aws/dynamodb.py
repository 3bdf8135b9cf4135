"""DynamoDB: moto's, with isolated transactions, and without its copies of the whole table."""

import copy
import threading
from collections import defaultdict
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from lab.aws.patches import Patches

# All that writes; a transaction calls the others.
_WRITES = ("put_item", "update_item", "delete_item", "transact_write_items")


def install(patches: Patches) -> None:
    _install_small_copies(patches)
    _install_isolation(patches)


def _install_isolation(patches: Patches) -> None:
    """Real: a transaction that fails changes nothing. moto: undoes also what others wrote to the table meanwhile."""
    lock = threading.RLock()

    def make(original: Any) -> Any:
        def write(*args: Any, **kwargs: Any) -> Any:
            with lock:
                return original(*args, **kwargs)

        return write

    for name in _WRITES:
        patches.replace(DynamoDBBackend, name, make)


def _install_small_copies(patches: Patches) -> None:
    """moto copies the table once for each item of a transaction, to undo it. Here: only the items that it names.

    With some hundred items in the table, its copies were the most of what a test took.
    """
    touched = threading.local()

    def make(original: Any) -> Any:
        def transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
            touched.keys = [op.get("Key") or op.get("Item") for item in transact_items for op in item.values()]
            original(backend, transact_items)

        return transact_write_items

    def as_it_is(table: Table, _memo: dict[int, Any]) -> Table:
        kept = copy.copy(table)
        kept.items = defaultdict(dict, table.items)
        for key in touched.keys:
            hash_value = DynamoType(key[table.hash_key_attr])
            if hash_value in table.items:
                kept.items[hash_value] = copy.deepcopy(table.items[hash_value])
        return kept

    patches.replace(DynamoDBBackend, "transact_write_items", make)
    patches.add(Table, "__deepcopy__", as_it_is)
