"""Tells people at once of an interrupt, or of a panic by itself, and decides which refusals are news."""

from botocore.exceptions import ClientError

from lambdas.incident.record import Incident, State
from lambdas.incident.update_expression import serialize
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import KillSwitch, Notifications
from lambdas.runtime.notification import publish, table

_KEPT_SECONDS = 7 * 24 * 3600
# watch_fleet looks at every silence. These say that the instance does not hang.
_NO_NEWS = ("status-check-passes", "instance-responds", "agent-was-dead", "not-running", "incident-open", "cooldown")


def announce(incident: Incident) -> None:
    """Publishes one short message; the verdict follows at the end of the incident. Raises ClientError."""
    what = "has panicked by itself" if incident.state == State.PANICKED else "was interrupted"
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
    """Whether a refusal of a question of watch_fleet is to be recorded and told: each reason once a hang."""
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
            # The same question, whose attempt died after this, is told all the same.
            ConditionExpression="attribute_not_exists(pk) OR incidentId = :mine",
            ExpressionAttributeValues=serialize({":mine": refused.incident_id}),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True
