"""DynamoDB streams that invoke a function for each change. Owns the order, the filter and the attempts."""

import json
import threading
from collections import deque
from typing import Any

from botocore.exceptions import ClientError
from moto.awslambda.models import EventSourceMapping, LambdaBackend
from moto.dynamodb.models import DynamoDBBackend
from moto.events.models import EventPattern

from lab.aws.iam.policy import Caller
from lab.aws.lambda_ import Functions
from lab.aws.patches import Patches
from lab.aws.state import AccountState

# Real: Lambda polls a shard four times a second.
_POLL_SECONDS = 0.25
# Real: growing waits that nobody documents.
_LONGEST_WAIT_SECONDS = 60.0
# What Lambda asks for in the role of the function.
_READS = ("ListStreams", "DescribeStream", "GetShardIterator", "GetRecords")


class Streams:
    """Real: in the background, in the order of a record's changes. moto: all of them again inside each write."""

    def __init__(self, state: AccountState, functions: Functions) -> None:
        self._state = state
        self._functions = functions
        self._lock = threading.Lock()
        # Mapping -> the changes that its function has yet to see.
        self._waiting: dict[str, deque[dict[str, Any]]] = {}
        # What a transaction has written so far: it may yet be undone.
        self._transaction = threading.local()

    def install(self, patches: Patches) -> None:
        def make_sender(_original: Any) -> Any:
            def send(backend: LambdaBackend, function_arn: str, items: list[Any], source: str) -> bool:
                name = function_arn.rsplit(":", 1)[-1]
                mappings = backend.list_event_source_mappings(source, name)
                changes = [(mapping, _as_sent(item.to_json(), source)) for item in items for mapping in mappings]
                held = getattr(self._transaction, "changes", None)
                if held is None:
                    self._take(changes)
                else:
                    held.extend(changes)
                # moto: forget the items.
                return True

            return send

        def make_transaction(original: Any) -> Any:
            def transact(*args: Any, **kwargs: Any) -> None:
                self._transaction.changes = []
                try:
                    original(*args, **kwargs)
                    self._take(_whole(self._transaction.changes))
                finally:
                    self._transaction.changes = None

            return transact

        def make_update(original: Any) -> Any:
            def update(*args: Any, **kwargs: Any) -> Any:
                if getattr(self._transaction, "changes", None) is not None:
                    return original(*args, **kwargs)
                self._transaction.changes = []
                try:
                    result = original(*args, **kwargs)
                    self._take(_whole(self._transaction.changes))
                finally:
                    self._transaction.changes = None
                return result

            return update

        patches.replace(DynamoDBBackend, "update_item", make_update)
        patches.replace(LambdaBackend, "send_dynamodb_items", make_sender)
        patches.replace(DynamoDBBackend, "transact_write_items", make_transaction)

    def _take(self, changes: list[tuple[EventSourceMapping, dict[str, Any]]]) -> None:
        for mapping, change in changes:
            if not _is_for(mapping, change):
                continue
            with self._lock:
                waiting = self._waiting.setdefault(mapping.uuid, deque())
                waiting.append(change)
                is_first = len(waiting) == 1
            if is_first:
                self._state.spawn(f"invoke for {mapping.uuid}", self._deliver, mapping, waiting)

    def _deliver(self, mapping: EventSourceMapping, waiting: deque[dict[str, Any]]) -> None:
        if int(mapping.batch_size) != 1:
            raise NotImplementedError(f"batches of {mapping.batch_size} changes are not emulated")
        is_left = True
        while is_left and self._state.pause(self._state.clock.scaled(_POLL_SECONDS)):
            self._try_repeatedly(mapping, waiting[0])
            with self._lock:
                waiting.popleft()
                is_left = bool(waiting)

    def _try_repeatedly(self, mapping: EventSourceMapping, change: dict[str, Any]) -> None:
        attempts, wait = int(mapping.max_retry_attempts) + 1, 1.0
        for attempt in range(attempts):
            if not self._may_read(mapping):
                return
            outcome = self._functions.call(mapping.function_arn, {"Records": [change]})
            if not outcome.is_error:
                return
            if attempt + 1 < attempts and not self._state.pause(self._state.clock.scaled(wait)):
                return
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        destination = (mapping.destination_config or {}).get("OnFailure", {}).get("Destination")
        if destination:
            batch = {"shardId": "shardId-1", "batchSize": 1, "streamArn": mapping.event_source_arn}
            self._functions.tell(destination, mapping.function_arn, {"DDBStreamBatchInfo": batch})

    def _may_read(self, mapping: EventSourceMapping) -> bool:
        """Real: without these rights the mapping stands still."""
        name = mapping.function_arn.rsplit(":", 1)[-1]
        caller = Caller(name.removeprefix("Hangdump-"), self._functions.role_of(mapping.function_arn))
        try:
            for operation in _READS:
                parameters = {"StreamArn": mapping.event_source_arn}
                self._state.permissions.call(caller, "dynamodbstreams", operation, parameters, dict)
        except ClientError:
            return False
        return True


def _as_sent(record: dict[str, Any], source: str) -> dict[str, Any]:
    """As Lambda hands it over: times are seconds, and everything is JSON."""
    change = dict(record["dynamodb"])
    change["ApproximateCreationDateTime"] = change["ApproximateCreationDateTime"].timestamp()
    sent: dict[str, Any] = json.loads(json.dumps({**record, "dynamodb": change}))
    return {**sent, "awsRegion": source.split(":")[3], "eventSourceARN": source}


def _whole(changes: list[tuple[EventSourceMapping, dict[str, Any]]]) -> list[tuple[EventSourceMapping, dict[str, Any]]]:
    """moto: an update that makes an item puts its bare key first, as a change of its own. Real: one change."""
    last = {json.dumps(change["dynamodb"]["Keys"]): change for _, change in changes}
    return [
        (mapping, change)
        for mapping, change in changes
        if change["dynamodb"].get("NewImage") != change["dynamodb"]["Keys"]
        or last[json.dumps(change["dynamodb"]["Keys"])] is change
    ]


def _is_for(mapping: EventSourceMapping, change: dict[str, Any]) -> bool:
    filters = (mapping.filter_criteria or {}).get("Filters", [])
    return not filters or any(EventPattern.load(each["Pattern"]).matches_event(change) for each in filters)
