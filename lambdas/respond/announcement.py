"""Notifies at once of an interrupt or of a kernel that panicked on its own, and decides which refusals are news."""

from botocore.exceptions import ClientError

from lambdas.incident.record import Incident, State
from lambdas.incident.table import IncidentTable
from lambdas.incident.update_expression import serialize
from lambdas.respond.decision import PANICKED
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import KillSwitch, Notifications
from lambdas.runtime.notification import publish, table

_KEPT_SECONDS = 7 * 24 * 3600
# watch_fleet has every silent instance checked. These reasons say that it does not hang, or are known already.
_NO_NEWS = (
    *("status-check-passes", "instance-responds", "agent-was-dead", "not-running", "incident-open", "cooldown"),
    # Refused only when the crash kernel of a concluded incident never ends: its verdict has been told.
    PANICKED,
)


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
        subject=f"Hangdump: {incident.instance_id} {what} ({incident.reason})",
        lines=[
            f"{incident.instance_id} {what}: {incident.reason}. {incident.detail}",
            "Its kernel writes a dump and reboots; Hangdump fetches the dump, verifies it and reports. Do not reboot",
            "or stop the instance meanwhile. The verdict follows under the same incident.",
            "",
            *table(
                {
                    "Incident": incident.incident_id,
                    "Alarm": incident.alarm_name,
                    "Account": f"{incident.account_id} {incident.region}",
                    "To stop further interrupts": f"set the parameter {KillSwitch.read().kill_switch_parameter} to off",
                }
            ),
        ],
    )


def is_news(table_name: str, refused: Incident) -> bool:
    """Whether to record and notify a refusal of a check that watch_fleet started: once per hang and reason."""
    if refused.reason in _NO_NEWS:
        return False
    item = {
        "pk": f"told#{refused.hang}#{refused.reason}",
        "incidentId": refused.incident_id,
        "expiresAtEpoch": moment.epoch(moment.now()) + _KEPT_SECONDS,
    }
    try:
        clients.dynamodb().put_item(
            TableName=table_name,
            Item=serialize(item),
            # A retry of the same check, whose first attempt crashed after this, still notifies.
            ConditionExpression="attribute_not_exists(pk) OR incidentId = :mine",
            ExpressionAttributeValues=serialize({":mine": refused.incident_id}),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True
