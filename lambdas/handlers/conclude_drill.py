"""Concludes a drill: removes the dump volume of its twin, writes what is proven, and ends its record.

Runs when the twin is gone, or could not be removed: whatever happened before, the record says how it ended.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.drill.proof import prove, seconds_of, write_proof
from lambdas.drill.record import end, read_drill
from lambdas.drill.remove_volume import remove_volumes
from lambdas.fleet.table import forget_row
from lambdas.incident.drill_keys import HUNG_AT, TWIN_ID
from lambdas.incident.record import SAFE_VERDICTS, Incident, State
from lambdas.incident.table import RecordToAmend
from lambdas.provision.choose_volume import DumpVolume, read_dump_volumes
from lambdas.provision.parked import forget_parked
from lambdas.runtime import moment, notification
from lambdas.runtime.environment import Configuration, FleetTable, Notifications, RecordKeeping
from lambdas.runtime.errors import HangRefused, HangUnavailable
from lambdas.runtime.observability import entry_point, logger

_PROVEN = "proven"
_NOT_HUNG = (HangRefused.__name__, HangUnavailable.__name__)


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes the state of DrillDump; gives `{"status","detail","verdict","incidentId","seconds","left","kept",…}`.

    `status`: proven, or unproven with the reason in `detail`, or failed with the failure that the state holds.
    """
    table, name = RecordKeeping.read().table_name, event["execution"]["name"]
    drill = read_drill(table, name)
    if event.get("failure", {}).get("Error") in _NOT_HUNG:
        # Noted before the document was sent, which refused.
        drill.pop(HUNG_AT, None)
    twin_id = drill.get(TWIN_ID) or event.get("launched", {}).get("instanceId", "")
    incident = _incident(table, event)
    is_safe = incident is not None and incident.verdict in SAFE_VERDICTS
    volumes: list[DumpVolume] = []
    kept = []
    if twin_id:
        volumes = read_dump_volumes(twin_id, table_name=table)
        kept = remove_volumes(volumes, is_empty=is_safe or HUNG_AT not in drill)
        forget_parked(table, twin_id)
        forget_row(FleetTable.read().fleet_table_name, twin_id)
    times = {"startedAt": event["execution"]["startedAt"], **event.get("times", {})}
    status, detail = _judge(event, incident, is_safe=is_safe)
    proven: dict[str, Any] = {"seconds": seconds_of(times, incident.timeline if incident else [])}
    if incident is not None and is_safe:
        proof = prove(
            drill,
            incident,
            kernel=(event.get("readiness", {}).get("kdump") or {}).get("kernel", ""),
            configuration_id=Configuration.read().id_of(drill.get("profile", "")),
            volume_gib=_gib(event, volumes),
            times=times,
            now=moment.now(),
        )
        write_proof(table, proof)
        proven = proof.as_json()
    if drill.get("state") == State.OPENED and status != _PROVEN:
        # Before the record says how it ended: twice is better than never.
        _notify(drill, f"{status}: {detail}", twin_id)
    if drill:
        end(table, drill, status=status, detail=detail, now=moment.now())
    logger.info("The drill is %s: %s", status, detail)
    left = event.get("removed", {})
    return {
        **proven,
        "status": status,
        "detail": detail,
        "verdict": incident.verdict.value if incident and incident.verdict else "",
        "incidentId": incident.incident_id if incident else "",
        "twinId": twin_id,
        "left": left.get("left", []) if left.get("isAnythingLeft") else [],
        "kept": [str(each) for each in kept],
        "isAnythingLeft": bool(left.get("isAnythingLeft") or kept),
    }


def _incident(table: str, event: dict[str, Any]) -> Incident | None:
    incident_id = event.get("watch", {}).get("incidentId", "")
    return RecordToAmend(table, incident_id).read() if incident_id else None


def _gib(event: Mapping[str, Any], dump_volumes: Sequence[DumpVolume]) -> int:
    """Of the twin's root and dump volumes; 0: an earlier attempt has deleted those."""
    if not dump_volumes:
        return 0
    disks = [int(each["Ebs"]["VolumeSize"]) for each in event["plan"]["blockDevices"] if "Ebs" in each]
    return sum(disks) + sum(each.size_gib for each in dump_volumes)


def _notify(drill: Mapping[str, Any], ended: str, twin_id: str) -> None:
    rows = {
        "Drill": drill["executionArn"],
        "Image": f"{drill['imageId']}, {drill['instanceType']}",
        "Hang": drill["hang"],
        "Twin": twin_id,
        "Next": "Follow the error's advice in docs/errors.md, and drill again: a hang of the instance may end so.",
    }
    notification.publish(
        Notifications.read().topic_arn,
        subject=f"{notification.sender(drill['executionName'])}: {drill['subject']} {ended}",
        lines=[f"No dump of a twin of {drill['subject']} was proven. {ended}", "", *notification.table(rows)],
    )


def _judge(event: dict[str, Any], incident: Incident | None, *, is_safe: bool) -> tuple[str, str]:
    """The dump counts, whatever failed later. Without one the first failure does."""
    if incident is not None and is_safe:
        return _PROVEN, f"{incident.verdict}: {incident.verdict_reason or ''}"
    if "failure" in event:
        return "failed", f"{event['failure'].get('Error', '')}: {event['failure'].get('Cause', '')}"
    if incident is not None:
        return "unproven", f"The incident {incident.incident_id} ended as {incident.verdict}: {incident.verdict_reason}"
    watch = event.get("watch", {})
    said = f" It was refused: {watch['refusal']}." if watch.get("refusal") else ""
    return "unproven", f"No dump of the twin was heard of.{said}"
