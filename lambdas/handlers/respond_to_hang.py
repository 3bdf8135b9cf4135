"""Responds to a CloudWatch alarm on a hung instance: gather evidence, decide, interrupt once, start CollectVmcore.

lambdas/respond has the parts: lease.py separates deliveries, response.py orders the steps, and decide() in
timing_rules.py applies all rules.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.incident.object_keys import incident_id
from lambdas.respond import alarm_event, lease
from lambdas.respond.lease import Lease
from lambdas.respond.response import report_invalid_alarm, respond, resume_collection
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import RecordKeeping
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.observability import entry_point, logger


@entry_point
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes an alarm's event, gives `{"incidentId","decision","reason","executionArn"?}`.

    Raises InvalidInput for what is no such event.
    """
    alarm = alarm_event.resolve(alarm_event.parse(event), _describe_alarms)
    if alarm.state != "ALARM":
        logger.info("Alarm %s is %s: nothing to do", alarm.name, alarm.state)
        return {"incidentId": "", "decision": "refuse", "reason": "not-in-alarm"}
    try:
        alarm_event.require_recent(alarm, moment.now())
        instance_id = alarm.instance_id()
    except InvalidInput as problem:
        report_invalid_alarm(alarm, problem)
        return {"incidentId": "", "decision": "refuse", "reason": "invalid-alarm"}
    incident = incident_id(alarm.changed_at, instance_id)
    logger.append_keys(incident_id=incident, instance_id=instance_id)
    logger.info("Alarm %s since %s", alarm.name, moment.iso(alarm.changed_at))
    seconds = context.get_remaining_time_in_millis() / 1000
    table = RecordKeeping.read().table_name
    taken = lease.take(table, incident, request_id=context.aws_request_id, now=moment.now(), seconds=seconds)
    if taken is Lease.HELD:
        logger.info("Another delivery of the same alarm is at work")
        return resume_collection(incident, holds_lease=False)
    return respond(incident, alarm, instance_id=instance_id, is_first=taken is Lease.FIRST)


def _describe_alarms(names: Sequence[str]) -> list[Mapping[str, Any]]:
    described = clients.cloudwatch().describe_alarms(
        AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=100
    )
    return [*described.get("MetricAlarms", []), *described.get("CompositeAlarms", [])]
