"""Polls an interrupted instance once: it is dumping, back, unharmed, off, or out of time.

dump_status.py decides which; this records the phase and the progress.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.collect.dump_status import DumpStatus, read_dump_status
from lambdas.incident.record import Incident, timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.runtime import moment
from lambdas.runtime.environment import RecordKeeping
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.telemetry_names import LogField


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incidentId","instanceId","isStartedAgain"?}`, gives `{"phase","detail","sawCrashKernel","progress"?}`.

    isStartedAgain: the instance was powered-off and was started; it is not started twice, and the caller bounds the
    wait.
    """
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = records.read(event["incidentId"])
    if incident is None:
        raise InvalidInput(f"No incident {event['incidentId']} in the table.", "Start CollectVmcore instead.")
    status = read_dump_status(incident, is_started_again=event.get("isStartedAgain") is True)
    _record(status, incident, records)
    return status.as_json()


def _record(status: DumpStatus, incident: Incident, records: IncidentTable) -> None:
    """Records each phase once in the timeline, and the progress whenever it changed."""
    fields: dict[str, Any] = {}
    if status.watch is not None and status.watch != incident.dump_watch:
        fields["dumpWatch"] = status.watch.model_dump(mode="json", by_alias=True)
    timeline = []
    if status.phase != incident.last_phase:
        logger.info("%s: %s", status.phase, status.detail, extra={LogField.PHASE: status.phase})
        fields |= {"lastPhase": status.phase, "sawCrashKernel": status.saw_crash_kernel}
        timeline = [timeline_entry(moment.now(), status.phase, status.detail)]
    if fields:
        records.update(incident.incident_id, fields, timeline=timeline)
