"""Notifies at once of an interrupt or of a kernel that panicked on its own, and decides which refusals are news."""

from botocore.exceptions import ClientError

from lambdas.incident.record import Incident, State
from lambdas.incident.table import IncidentTable
from lambdas.incident.update_expression import UpdateExpression, serialize
from lambdas.respond.decision import PANICKED
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import InterruptLimits, KillSwitch, Notifications
from lambdas.runtime.notification import publish, sender, table

_KEPT_SECONDS = 7 * 24 * 3600
# A hang is checked again at least every hour: what was refused for the same reason within this time is the same hang.
_ONE_HANG_SECONDS = 2 * 3600
# watch_fleet has every silent instance checked. Three of the reasons say that it does not hang; the last one, that its
# crash kernel never ends, as the verdict did.
_NO_HANG = ("status-check-passes", "instance-responds", "not-running", PANICKED)
# It has not come back well from its dump, as the verdict said.
_NOT_BACK = ("boot-grace", "ready-stale")


def announce_once(incident: Incident, records: IncidentTable) -> None:
    """Publishes one short message; the verdict follows at the end of the incident. Raises ClientError.

    A crash after the publishing can make it twice, which is better than never.
    """
    if incident.announced_at is not None:
        return
    _announce(incident)
    records.update(incident.incident_id, {"announcedAt": moment.iso(moment.now())})


def _announce(incident: Incident) -> None:
    what = "panicked on its own" if incident.state == State.PANICKED else "was interrupted"
    publish(
        Notifications.read().topic_arn,
        subject=f"{sender(incident.drill)}: {incident.instance_id} {what} ({incident.reason})",
        lines=[
            f"{incident.instance_id} {what}: {incident.reason}. {incident.detail}",
            "Its kernel writes a dump and reboots; Hangdump fetches the dump, verifies it and reports. Do not reboot",
            "or stop the instance meanwhile. The verdict follows under the same incident.",
            "",
            *table(
                {
                    "Incident": incident.incident_id,
                    "Alarm": incident.alarm_name,
                    "Drill": incident.drill,
                    "Account": f"{incident.account_id} {incident.region}",
                    "To stop further interrupts": f"set the parameter {KillSwitch.read().kill_switch_parameter} to off",
                }
            ),
        ],
    )


def note_if_news(table_name: str, refused: Incident) -> bool:
    """Whether to record and notify a refusal: once per hang and reason, whoever started the check. Notes that it was.

    A hang is over when the agent has pinged, or when nobody has found it for two hours. Raises ClientError.
    """
    if refused.reason == "incident-open":
        # The interrupt was announced.
        return False
    if refused.hang and (refused.reason in _NO_HANG or _is_dead_agent(refused) or _follows_an_incident(refused)):
        return False
    now = moment.epoch(moment.now())
    key = f"refusal-notice#{refused.instance_id}#{refused.reason}"
    seen = {"seenEpoch": now, "expiresAtEpoch": now + _KEPT_SECONDS}
    last_ping = int(refused.evidence.get("lastPingEpoch") or 0)
    try:
        clients.dynamodb().put_item(
            TableName=table_name,
            Item=serialize({"pk": key, "incidentId": refused.incident_id} | seen),
            # A retry of the same check, whose first attempt crashed after this, still notifies.
            ConditionExpression="attribute_not_exists(pk) OR incidentId = :mine OR seenEpoch < :over",
            ExpressionAttributeValues=serialize(
                {":mine": refused.incident_id, ":over": max(last_ping, now - _ONE_HANG_SECONDS)}
            ),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        again = UpdateExpression(seen).arguments()
        clients.dynamodb().update_item(TableName=table_name, Key=serialize({"pk": key}), **again)
        return False
    return True


def _follows_an_incident(refused: Incident) -> bool:
    last = int(refused.evidence.get("lastInterruptEpoch") or 0)
    is_recent = moment.epoch(moment.now()) - last <= InterruptLimits.read().cooldown_seconds
    return refused.reason in _NOT_BACK and is_recent


def _is_dead_agent(refused: Incident) -> bool:
    """Its agent is dead and nothing else is wrong."""
    return refused.reason == "agent-was-dead" and not refused.evidence.get("impairedEpoch")
