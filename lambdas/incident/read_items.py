"""Reads many items of a table by their keys. Knows nothing of what they mean."""

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lambdas.incident.update_expression import deserialize, serialize
from lambdas.runtime import clients

# BatchGetItem takes so many.
_KEYS_A_CALL = 100
# DynamoDB may answer a call in part when it throttles, or beyond 16 MB.
_MOST_REPEATS = 5


@dataclass(frozen=True)
class Items:
    """`found`: by key, those that there are. `unread`: the keys that DynamoDB gave no answer for."""

    found: dict[str, dict[str, Any]]
    unread: frozenset[str]


def read_items(table: str, keys: Iterable[str], *, is_consistent: bool) -> Items:
    """Each key once; what is left unread is asked for again a bounded number of times. Raises ClientError.

    `is_consistent`: as last written, at twice the price; otherwise maybe as of a moment ago.
    """
    wanted = sorted(set(keys))
    found: dict[str, dict[str, Any]] = {}
    unread: list[str] = []
    for start in range(0, len(wanted), _KEYS_A_CALL):
        left = wanted[start : start + _KEYS_A_CALL]
        for repeat in range(_MOST_REPEATS + 1):
            if repeat:
                time.sleep(random.uniform(0.02, 0.04) * 2**repeat)  # noqa: S311 - jitter, not a secret
            items, left = _read(table, left, is_consistent=is_consistent)
            found |= items
            if not left:
                break
        unread += left
    return Items(found, frozenset(unread))


def _read(table: str, keys: list[str], *, is_consistent: bool) -> tuple[dict[str, dict[str, Any]], list[str]]:
    request: Any = {table: {"Keys": [serialize({"pk": key}) for key in keys], "ConsistentRead": is_consistent}}
    answer = clients.dynamodb().batch_get_item(RequestItems=request)
    unprocessed: Any = answer.get("UnprocessedKeys", {}).get(table, {})
    items = {item["pk"]: item for item in map(deserialize, answer["Responses"].get(table, []))}
    return items, [key["pk"]["S"] for key in unprocessed.get("Keys", [])]
