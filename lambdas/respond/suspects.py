"""Finds enrolled instances that may hang, and decides which of them respond_to_hang checks now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from lambdas.incident.read_items import read_items
from lambdas.incident.update_expression import serialize
from lambdas.instance.facts import impaired_since
from lambdas.runtime import clients, moment
from lambdas.runtime.tags import ENROLLED_TAG, READY_TAG

# EC2 takes up to 200 values in a filter.
_IDS_A_CALL = 100
# A reason for a refusal may pass, so a suspect is checked again: after one minute, two, four, … up to an hour.
_LONGEST_WAIT_SECONDS = 3600
_KEPT_SECONDS = 2 * 24 * 3600


@dataclass(frozen=True)
class Suspect:
    """`onset`: when its check began to fail, or else its agent's last ping. It names the hang."""

    instance_id: str
    onset: datetime

    @property
    def hang(self) -> str:
        """i-0123456789abcdef0#1795406400: the same however often it is checked."""
        return f"{self.instance_id}#{moment.epoch(self.onset)}"


def find_suspects() -> list[Suspect]:
    """Ready, enrolled and running instances that are impaired, or whose agent is silent. Raises ClientError."""
    onsets = dict(_silent()) | dict(_impaired())
    instance_ids = sorted(onsets)
    return [
        Suspect(instance_id, onsets[instance_id])
        for start in range(0, len(instance_ids), _IDS_A_CALL)
        for instance_id in _protected(instance_ids[start : start + _IDS_A_CALL])
    ]


def choose_due(table: str, suspects: Sequence[Suspect], now: datetime) -> Iterator[Suspect]:
    """The suspects to check now; notes that they are checked. Two invocations never give the same one."""
    items = read_items(table, map(_key, suspects), is_consistent=True)
    for each in suspects:
        # Those left unread are checked in a minute.
        if _key(each) not in items.unread and _take_turn(table, each, items.found.get(_key(each), {}), now):
            yield each


def _take_turn(table: str, suspect: Suspect, known: Mapping[str, Any], now: datetime) -> bool:
    times, asked = int(known.get("times", 0)), int(known.get("askedEpoch", 0))
    at = moment.epoch(now)
    if times and at - asked < min(60 * 2 ** (times - 1), _LONGEST_WAIT_SECONDS):
        return False
    item = {"pk": _key(suspect), "times": min(times + 1, 10), "askedEpoch": at, "expiresAtEpoch": at + _KEPT_SECONDS}
    try:
        clients.dynamodb().put_item(
            TableName=table,
            Item=serialize(item),
            ConditionExpression="attribute_not_exists(pk) OR askedEpoch = :asked",
            ExpressionAttributeValues=serialize({":asked": asked}),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _key(suspect: Suspect) -> str:
    return f"suspect#{suspect.hang}"


def _impaired() -> Iterator[tuple[str, datetime]]:
    pages = (
        clients.ec2()
        .get_paginator("describe_instance_status")
        .paginate(Filters=[{"Name": "instance-status.status", "Values": ["impaired"]}])
    )
    for page in pages:
        for status in page["InstanceStatuses"]:
            since = impaired_since(status)
            if since is not None:
                yield status["InstanceId"], since


def _silent() -> Iterator[tuple[str, datetime]]:
    filters = [{"Key": "PingStatus", "Values": ["ConnectionLost"]}, {"Key": f"tag:{ENROLLED_TAG}", "Values": ["true"]}]
    pages = clients.ssm().get_paginator("describe_instance_information").paginate(Filters=filters)  # type: ignore[arg-type]
    for page in pages:
        for each in page["InstanceInformationList"]:
            if "LastPingDateTime" in each:
                yield each["InstanceId"], each["LastPingDateTime"]


def _protected(instance_ids: Sequence[str]) -> Iterator[str]:
    filters = [
        {"Name": "instance-id", "Values": list(instance_ids)},
        {"Name": f"tag:{ENROLLED_TAG}", "Values": ["true"]},
        {"Name": "tag-key", "Values": [READY_TAG]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    pages = clients.ec2().get_paginator("describe_instances").paginate(Filters=filters)  # type: ignore[arg-type]
    for page in pages:
        for reservation in page["Reservations"]:
            yield from (each["InstanceId"] for each in reservation.get("Instances", []))
