"""Brings an instance back from Standby after its incident, whether that succeeded or failed. Safe to run twice.

If the instance cannot be brought back, this notifies with the commands to run.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.incident.record import Incident, timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.respond.standby import Return, bring_back
from lambdas.runtime import moment
from lambdas.runtime.environment import Notifications, RecordKeeping
from lambdas.runtime.notification import publish, table
from lambdas.runtime.observability import entry_point, logger


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incident": {"incidentId"}}`, or anything for an execution without one; gives `{"status","detail"}`."""
    records = IncidentTable(RecordKeeping.read().table_name)
    opened = event.get("incident")
    name = opened.get("incidentId") if isinstance(opened, dict) else None
    known = records.read(name) if name else None
    if known is None or not known.auto_scaling_group:
        return {"status": "none", "detail": ""}
    returned = bring_back(known.instance_id, known.auto_scaling_group)
    logger.info("%s: %s. %s", known.instance_id, returned.status, returned.detail)
    entry = timeline_entry(moment.now(), f"standby-{returned.status}", returned.detail)
    if returned.status == "left":
        records.update(known.incident_id, {}, timeline=[entry])
        _notify(known, returned)
    else:
        records.update(known.incident_id, {"autoScalingGroup": ""}, timeline=[entry])
    return {"status": returned.status, "detail": returned.detail}


def _notify(known: Incident, left: Return) -> None:
    group, instance_id = known.auto_scaling_group or "", known.instance_id
    command = f"--auto-scaling-group-name {group} --instance-ids {instance_id}"
    lines = [
        f"{instance_id} was put into Standby for its dump and could not be brought back. It serves no traffic.",
        "",
        *table(
            {
                "Why": left.detail,
                "Bring it back": f"aws autoscaling exit-standby {command}",
                "At its maximum?": "If the group is at its maximum size, raise that first, or terminate the instance:",
                "Terminate it": "aws autoscaling terminate-instance-in-auto-scaling-group --instance-id "
                f"{instance_id} --no-should-decrement-desired-capacity",
                "Incident": known.incident_id,
                "Account": f"{known.account_id} {known.region}",
            }
        ),
    ]
    publish(Notifications.read().topic_arn, subject=f"Hangdump: {instance_id} is left in Standby", lines=lines)
