"""Opens the incident of an execution of CollectVmcore, or finds the one that an alarm opened.

The kind of start decides whether to interrupt, whether a crash is expected, and which vmcores count.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.incident.opening import new_incident, open_once
from lambdas.incident.record import Incident, Verdict, timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.instance.facts import Instance, read_instance, read_ping
from lambdas.provision.parked import read_parked
from lambdas.runtime import moment
from lambdas.runtime.environment import DumpDeadline, RecordKeeping
from lambdas.runtime.errors import (
    InstanceNotEnrolled,
    InstanceNotFound,
    InstanceNotManaged,
    InstanceNotRunning,
    InvalidInput,
)
from lambdas.runtime.execution_input import ExecutionInput, IncidentId, read_input
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import ENROLLED_TAG


class CollectInput(ExecutionInput):
    """`{"instanceId"}` fetches a vmcore; `"interrupt": true` causes it first; respond_to_hang gives `incidentId`."""

    interrupt: bool = False
    incident_id: IncidentId | None = None


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input","executionId","executionName","startTime"}`; raises InvalidInput, InstanceNotFound and more."""
    given = read_input(CollectInput, event["input"])
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = _open(given, event, records) if given.incident_id is None else _find(given, records)
    deadline = incident.dump_deadline_epoch
    # A later execution for the same incident gets a deadline of its own.
    if deadline is None or incident.execution_name != event["executionName"]:
        bounds, now = DumpDeadline.read(), moment.epoch(moment.now())
        deadline = now + bounds.dump_timeout_seconds
        entry = timeline_entry(moment.now(), "collection-opened", event["executionName"])
        fields = {
            "dumpDeadlineEpoch": deadline,
            "dumpLimitEpoch": now + bounds.dump_limit_seconds,
            "dumpWatch": None,
            "executionName": event["executionName"],
        }
        records.update(incident.incident_id, fields, timeline=[entry])
    logger.append_keys(incident_id=incident.incident_id, instance_id=incident.instance_id)
    logger.info("Incident opened (%s)", incident.origin)
    is_parked = read_parked(records.name, incident.instance_id) is not None
    return _result(incident, given, deadline=deadline) | {"isParked": is_parked}


def _open(given: CollectInput, event: dict[str, Any], records: IncidentTable) -> Incident:
    """A new incident for an execution started by hand; the same one again when this state is retried."""
    opened = new_incident(event, given.instance_id, origin="manual" if given.interrupt else "fetch")
    if records.read(opened.incident_id) is None:
        instance = _require_instance(given)
        # EC2 forgets a terminated instance; a rescue and an analysis may come later.
        known = {"network": instance.network, "launched_from": instance.launched_from, "drill": instance.drill or None}
        opened = opened.model_copy(update=known)
    return open_once(records, opened)


def _find(given: CollectInput, records: IncidentTable) -> Incident:
    known = records.read(given.incident_id or "")
    again = f'To fetch any vmcore on it, start CollectVmcore with {{"instanceId": "{given.instance_id}"}}.'
    if given.interrupt:
        raise InvalidInput("incidentId and interrupt = True exclude each other.", again)
    if known is None or known.instance_id != given.instance_id:
        raise InvalidInput(f"{given.instance_id} has no incident {given.incident_id!r}.", again)
    if not known.is_crashed:
        raise InvalidInput(f"The incident {known.incident_id} sent no interrupt: it is {known.state.value}.", again)
    if known.verdict == Verdict.CAPTURED:
        raise InvalidInput(f"The vmcore of the incident {known.incident_id} is already in the bucket.", again)
    return known


def _require_instance(given: CollectInput) -> Instance:
    instance = read_instance(given.instance_id)
    if instance is None:
        raise InstanceNotFound(
            f"EC2 knows no instance {given.instance_id} in this account and Region.",
            "Check the id, and run CollectVmcore in the instance's own account and Region.",
        )
    if given.interrupt:
        return instance
    if not instance.is_enrolled:
        # IAM compares the keys of tags without case.
        raise InstanceNotEnrolled(
            f"{given.instance_id} is not tagged {ENROLLED_TAG}=true.",
            "If its owner agrees that its memory is copied, tag it, then run CollectVmcore again.",
        )
    if instance.state != "running":
        raise InstanceNotRunning(
            f"{given.instance_id} is {instance.state}, but only the instance itself can upload its vmcore.",
            "Start it, then run CollectVmcore again.",
        )
    ping = read_ping(given.instance_id)
    if ping is None or ping.status != "Online":
        raise InstanceNotManaged(
            f"Systems Manager does not reach {given.instance_id}: {ping.status if ping else 'not registered'}.",
            'Restart its SSM agent; if the instance hangs, start CollectVmcore with "interrupt": true.',
        )
    return instance


def _result(incident: Incident, given: CollectInput, *, deadline: int) -> dict[str, Any]:
    # The interrupt is still to come: a vmcore from after the opening belongs to this incident.
    since = incident.since_epoch
    if given.interrupt:
        since = moment.epoch(moment.parse(incident.opened_at or "")) - moment.CLOCK_SLACK_SECONDS
    return incident.facts(since_epoch=since) | {"interruptRequested": given.interrupt, "dumpDeadlineEpoch": deadline}
