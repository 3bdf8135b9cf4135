"""Keeps down the number of messages about refusals, however many instances are refused at once.

A window has one message for the first zone's or group's budget, one for the fleet's, which stops everything, one for
each failing zone, and ten for all other refusals of a zone. The items budget-notice#<start of the window>#<what> elect
the sender, and refusal-count#<start of the window>#<zone> count.
"""

import json
from typing import Any

from botocore.exceptions import ClientError

from lambdas.incident.record import Incident
from lambdas.incident.update_expression import UpdateExpression, deserialize, serialize
from lambdas.respond.claim import FLEET_BUDGET_SPENT, window_start
from lambdas.respond.proof_rules import CORRELATED
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import InterruptLimits, Notifications
from lambdas.runtime.notification import publish, table
from lambdas.runtime.observability import logger
from lambdas.runtime.refusal_advice import next_step

MOST_MESSAGES = 10
# The table drops the item this long after its window.
_KEPT_SECONDS = 7 * 24 * 3600


def notify_once(table_name: str, refused: Incident) -> None:
    """Notifies of the budget that refused this incident, unless another refusal in the same window sends the notice.

    The first refusal sends it. If it dies before it records that, its retry sends again: twice is better than never.
    """
    window = InterruptLimits.read().fleet_budget_window_seconds
    start = window_start(moment.parse(refused.opened_at or ""), window)
    which = _which(refused)
    item = {"pk": f"budget-notice#{start}#{which}", "incidentId": refused.incident_id}
    expiry = {"expiresAtEpoch": start + window + _KEPT_SECONDS}
    if not _put(table_name, {**item, **expiry}, refused.incident_id):
        logger.info("The notice of the spent budget was already sent in this window")
        return
    publish(Notifications.read().topic_arn, subject=_subject(refused), lines=_lines(refused, ends_epoch=start + window))
    _put(table_name, {**item, **expiry, "toldAt": moment.iso(moment.now())}, refused.incident_id)


def is_told_apart(table_name: str, refused: Incident) -> bool:
    """Whether a refusal has a message of its own, as the first nine of a zone in each window have. Raises ClientError.

    If a zone fails, hundreds of hosts fail, or hundreds of reads. The tenth message says that more are only recorded.
    """
    window = InterruptLimits.read().fleet_budget_window_seconds
    start = window_start(moment.now(), window)
    update = UpdateExpression({"expiresAtEpoch": start + window + _KEPT_SECONDS})
    update.increase("count", 1)
    key = {"pk": f"refusal-count#{start}#{refused.evidence.get('availabilityZone')}"}
    answer = clients.dynamodb().update_item(
        TableName=table_name, Key=serialize(key), ReturnValues="UPDATED_NEW", **update.arguments()
    )
    count = int(deserialize(answer["Attributes"])["count"])
    if count == MOST_MESSAGES:
        publish(
            Notifications.read().topic_arn,
            subject=f"Hangdump: more refusals in {refused.evidence.get('availabilityZone')} ({refused.region})",
            lines=[
                f"{count} instances of this zone were refused since {moment.iso(moment.at_epoch(start))}. Until",
                f"{moment.iso(moment.at_epoch(start + window))} further refusals there are recorded without a message.",
                "See reports/index.html of the bucket, or the incident table.",
            ],
        )
    return count < MOST_MESSAGES


def _which(refused: Incident) -> str:
    if refused.reason == CORRELATED:
        return f"zone#{refused.evidence.get('availabilityZone')}"
    return "fleet" if refused.reason == FLEET_BUDGET_SPENT else "part"


def _put(table_name: str, item: dict[str, Any], incident_id: str) -> bool:
    """False if another invocation sends or has sent the notice."""
    try:
        clients.dynamodb().put_item(
            TableName=table_name,
            Item=serialize(item),
            ConditionExpression="attribute_not_exists(pk) OR (incidentId = :mine AND attribute_not_exists(toldAt))",
            ExpressionAttributeValues=serialize({":mine": incident_id}),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _subject(refused: Incident) -> str:
    return f"Hangdump STOPPED interrupting: {refused.reason} ({refused.region})"


def _lines(refused: Incident, *, ends_epoch: int) -> list[str]:
    seen = refused.evidence
    zone, group = seen.get("availabilityZone"), seen.get("autoScalingGroup")
    return [
        f"STOPPED until {moment.iso(moment.at_epoch(ends_epoch))}: {refused.detail}",
        "More instances seem to hang than Hangdump interrupts together. Each further one is recorded as refused, with",
        "its evidence. This window sends no more notifications of this kind.",
        "",
        *table(
            {
                "Next": next_step(refused.reason or ""),
                "First refused": f"{refused.instance_id}, incident {refused.incident_id}",
                "Alarm": refused.alarm_name,
                "Account": f"{refused.account_id} {refused.region}",
                "Interrupts, fleet": seen.get("interruptsInWindow"),
                f"Interrupts, {zone}": seen.get("interruptsInZone"),
                f"Interrupts, group {group}": seen.get("interruptsInGroup") if group else None,
                "Evidence": json.dumps(seen, sort_keys=True),
            }
        ),
    ]
