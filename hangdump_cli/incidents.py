"""Incidents as the table has them: the newest, and one with its timeline. Reads with the caller's credentials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hangdump_cli.advice import next_step
from hangdump_cli.aws import Aws
from hangdump_cli.items import plain
from hangdump_cli.stack import Stack
from lambdas.incident.index_fields import ALL, BY_TIME, LISTED_UNDER
from lambdas.runtime import moment
from lambdas.runtime.links import console_link, uri
from lambdas.runtime.stack_parameter import Output

# With these the verified vmcore is in the bucket. lambdas.incident.record has them with pydantic; a test compares.
GOOD_VERDICTS = ("captured", "rescued")
REFUSALS = ("refused", "unsupported")
_PAGE = 100
# For those of one instance: the index is by time.
MOST_SEARCHED = 500


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One record; "" is unknown. `reason` is the code of a refusal, `detail` says it with its values."""

    incident_id: str
    instance_id: str
    opened_at: datetime | None
    state: str = ""
    origin: str = ""
    alarm_name: str = ""
    verdict: str = ""
    reason: str = ""
    detail: str = ""
    verdict_reason: str = ""
    crash_class: str = ""
    sentence: str = ""
    kernel: str = ""
    execution_arn: str = ""
    account_id: str = ""
    region: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    timeline: tuple[Mapping[str, str], ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether it ended with a verified vmcore in the bucket."""
        return self.verdict in GOOD_VERDICTS

    @property
    def words(self) -> str:
        """The cause, or else why there is none."""
        if self.verdict in REFUSALS:
            return self.detail or self.reason or self.verdict_reason
        return self.sentence or self.verdict_reason

    @property
    def next_step(self) -> str:
        """What to do about it; "" if nothing is known."""
        if self.verdict in REFUSALS:
            return next_step(self.reason, self.instance_id)
        if self.keys.get("vmcore"):
            return f"hangdump dump get {self.incident_id}"
        return ""

    def links(self, bucket: str) -> dict[str, str]:
        """Name → the console's page of an object, or its address in S3."""
        found = {}
        if report := self.keys.get("report", ""):
            found["report"] = console_link(bucket=bucket, region=self.region, key=report)
        if vmcore := self.keys.get("vmcore", ""):
            found["vmcore"] = uri(bucket, vmcore)
        if log := self.keys.get("dmesg") or self.keys.get("log", ""):
            found["kernel log"] = uri(bucket, log)
        return {name: link for name, link in found.items() if link}

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {
            "incidentId": self.incident_id,
            "instanceId": self.instance_id,
            "openedAt": self.opened_at,
            "verdict": self.verdict,
            "reason": self.reason,
            "sentence": self.words,
            "crashClass": self.crash_class,
            "kernel": self.kernel,
        }


def newest(aws: Aws, stack: Stack, *, most: int, instance_id: str = "") -> list[Incident]:
    """The newest incidents that have ended, of one instance or of all. Looks at the last 500 at most."""
    pages = aws.pages(
        "dynamodb",
        "query",
        TableName=stack[Output.INCIDENT_TABLE],
        IndexName=BY_TIME,
        KeyConditionExpression="#key = :value",
        ExpressionAttributeNames={"#key": LISTED_UNDER},
        ExpressionAttributeValues={":value": {"S": ALL}},
        ScanIndexForward=False,
        PaginationConfig={"PageSize": _PAGE, "MaxItems": MOST_SEARCHED if instance_id else most},
    )
    found: list[Incident] = []
    for page in pages:
        found.extend(each for each in map(parse, page["Items"]) if instance_id in ("", each.instance_id))
        if len(found) >= most:
            break
    return found[:most]


def read(aws: Aws, stack: Stack, incident_id: str) -> Incident | None:
    """The record as last written; None when there is none."""
    item = (
        aws.client("dynamodb")
        .get_item(
            TableName=stack[Output.INCIDENT_TABLE], Key={"pk": {"S": f"incident#{incident_id}"}}, ConsistentRead=True
        )
        .get("Item")
    )
    return parse(item) if item else None


def parse(item: Mapping[str, Any]) -> Incident:
    """From a DynamoDB item."""
    values = plain(item)

    def text(name: str) -> str:
        value = values.get(name)
        return value if isinstance(value, str) else ""

    evidence = values.get("evidence") or {}
    keys, timeline = values.get("keys") or {}, values.get("timeline") or []
    return Incident(
        incident_id=text("incidentId"),
        instance_id=text("instanceId"),
        opened_at=_time(text("openedAt")),
        state=text("state"),
        origin=text("origin"),
        alarm_name=text("alarmName"),
        verdict=text("verdict"),
        reason=text("reason"),
        detail=text("detail"),
        verdict_reason=text("verdictReason"),
        crash_class=text("crashClass"),
        sentence=text("sentence"),
        kernel=text("kernel") or str(evidence.get("readyKernel", "")),
        execution_arn=text("executionArn"),
        account_id=text("accountId"),
        region=text("region"),
        keys={name: str(key) for name, key in keys.items()},
        timeline=tuple({name: str(value) for name, value in each.items()} for each in timeline),
    )


def _time(text: str) -> datetime | None:
    try:
        return moment.parse(text)
    except ValueError:
        return None
