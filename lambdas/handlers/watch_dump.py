"""One look at an instance that was interrupted: is it dumping, back, unharmed, off, or out of time?

Owns the order in which evidence counts, and whether an instance that is off may be started again. Progress on the
console is read in read_progress.py and judged in judge_progress.py; only a boot that is later than the interrupt, seen
by an active probe, proves that the instance is back.
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

    isStartedAgain: it was powered-off before. It is not to be started twice, and who waits for it bounds the waiting.
    """
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = records.read(event["incidentId"])
    if incident is None:
        raise InvalidInput(f"No incident {event['incidentId']} in the table.", "Start CollectVmcore instead.")
    look = read_dump_status(incident, is_started_again=event.get("isStartedAgain") is True)
    _note(look, incident, records)
    return look.as_json()


def _note(look: DumpStatus, incident: Incident, records: IncidentTable) -> None:
    """Each phase once in the timeline, the progress at every look that saw any."""
    fields: dict[str, Any] = {}
    if look.watch is not None and look.watch != incident.dump_watch:
        fields["dumpWatch"] = look.watch.model_dump(mode="json", by_alias=True)
    timeline = []
    if look.phase != incident.last_phase:
        logger.info("%s: %s", look.phase, look.detail, extra={LogField.PHASE: look.phase})
        fields |= {"lastPhase": look.phase, "sawCrashKernel": look.saw_crash_kernel}
        timeline = [timeline_entry(moment.now(), look.phase, look.detail)]
    if fields:
        records.update(incident.incident_id, fields, timeline=timeline)
