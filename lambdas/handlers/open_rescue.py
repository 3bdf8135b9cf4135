"""Opens the incident of a rescue: the given incident, or a new one for the given instance.

Refuses incidents that need no rescue; plan_rescue finds out whether there is a volume to copy.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.incident.opening import new_incident, open_once
from lambdas.incident.record import ORPHAN, RESCUE_OPENED, SAFE_VERDICTS, Incident, timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.provision.volume_record import note_incident
from lambdas.runtime import moment
from lambdas.runtime.environment import RecordKeeping
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.execution_input import GivenInput, IncidentId, InstanceId, VolumeId, read_input
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.visible_text import one_line

# A record may have 400 KB, so one entry of the timeline must stay short.
_LONGEST_DETAIL = 2000


class RescueInput(GivenInput):
    """`{"incidentId"}` or `{"instanceId"}`; `reason` says why the instance cannot upload the vmcore itself.

    A sweep that finds the dump volume of a terminated instance gives `orphaned_volume_id` too.
    """

    incident_id: IncidentId | None = None
    instance_id: InstanceId | None = None
    orphaned_volume_id: VolumeId | None = None
    reason: str = ""


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input","executionId","executionName","startTime"}`; raises InvalidInput."""
    given = read_input(RescueInput, event["input"])
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = _find(given, records) if given.incident_id else _open(given, event, records)
    entry = timeline_entry(
        moment.now(), RESCUE_OPENED, one_line(given.reason, _LONGEST_DETAIL) or event["executionName"]
    )
    # The sweep leaves an incident alone while its execution runs.
    records.update(incident.incident_id, {"executionName": event["executionName"]}, timeline=[entry])
    logger.append_keys(incident_id=incident.incident_id, instance_id=incident.instance_id)
    logger.info("Rescue opened. %s", entry["detail"])
    return incident.facts(since_epoch=incident.since_epoch)


def _find(given: RescueInput, records: IncidentTable) -> Incident:
    known = records.read(given.incident_id or "")
    if known is None or not known.instance_id or given.instance_id not in (None, known.instance_id):
        raise InvalidInput(
            f"There is no incident {given.incident_id!r}, or it is another instance's.",
            "Give the incidentId from the notification or from reports/index.html.",
        )
    if known.verdict in SAFE_VERDICTS:
        raise InvalidInput(
            f"The vmcore of the incident {known.incident_id} is already in the bucket.", "See the incident's report."
        )
    if known.origin == "alarm" and not known.is_crashed:
        raise InvalidInput(
            f"The incident {known.incident_id} sent no interrupt: it is {known.state.value}.",
            f'To rescue any vmcore on the volume, start RescueVmcore with {{"instanceId": "{known.instance_id}"}}.',
        )
    return known


def _open(given: RescueInput, event: dict[str, Any], records: IncidentTable) -> Incident:
    """A retry of this state finds the same incident."""
    if given.instance_id is None:
        raise InvalidInput("The execution's input names neither incidentId nor instanceId.", "Give one of them.")
    if given.orphaned_volume_id is None:
        return open_once(records, new_incident(event, given.instance_id, origin="fetch"))
    opened = new_incident(event, given.instance_id, origin=ORPHAN)
    # Before the incident: the sweep reads its verdict there, however this execution ends.
    if not note_incident(
        records.name,
        given.orphaned_volume_id,
        instance_id=given.instance_id,
        incident_id=opened.incident_id,
    ):
        raise InvalidInput(
            f"ProvisionDumpVolume did not create {given.orphaned_volume_id} for {given.instance_id}.",
            "Start RescueVmcore with the instanceId alone.",
        )
    return open_once(records, opened)
