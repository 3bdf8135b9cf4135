"""A CloudWatch alarm says that an instance hangs: gather evidence, decide, interrupt once, start CollectVmcore.

Owns the entry point and its idempotency. The order of the steps is in response.py, the rules are in decide.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyAlreadyInProgressError
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas import clients, moment
from lambdas.environment import RecordKeeping
from lambdas.errors import InvalidInput
from lambdas.incident import incident_id
from lambdas.observability import entry_point, logger
from lambdas.respond_to_hang import alarm_event
from lambdas.respond_to_hang.alarm_event import Alarm
from lambdas.respond_to_hang.response import report_invalid_alarm, respond, resume_collection

# CloudWatch and Lambda repeat a delivery within hours; the incident record itself never expires.
_REMEMBERED_SECONDS = 24 * 3600


@entry_point
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes an alarm's event, gives `{"incidentId","decision","reason","executionArn"?}`; raises InvalidInput."""
    alarm = alarm_event.resolve(alarm_event.parse(event), _describe_alarms)
    if alarm.state != "ALARM":
        logger.info("Alarm %s is %s: nothing to do", alarm.name, alarm.state)
        return {"incidentId": "", "decision": "refuse", "reason": "not-in-alarm"}
    try:
        instance_id = alarm.instance_id()
    except InvalidInput as problem:
        report_invalid_alarm(alarm, problem)
        raise
    incident = incident_id(alarm.changed_at, instance_id)
    logger.append_keys(incident_id=incident, instance_id=instance_id)
    logger.info("Alarm %s since %s", alarm.name, moment.iso(alarm.changed_at))
    return _respond_once(incident, alarm, context)


def _respond_once(incident: str, alarm: Alarm, context: LambdaContext) -> dict[str, Any]:
    """Powertools' idempotency keeps concurrent deliveries apart; the claim would too, but each would probe and notify.

    Made here rather than by decorator, because the table's name is known only at run time.
    """
    store = DynamoDBPersistenceLayer(
        table_name=RecordKeeping.read().table_name,
        key_attr="pk",
        expiry_attr="expiresAtEpoch",
        boto3_client=clients.dynamodb(),
    )
    config = IdempotencyConfig(expires_after_seconds=_REMEMBERED_SECONDS)
    # Without it a crashed invocation would stay "in progress" and keep Lambda's own retry out.
    config.register_lambda_context(context)

    def once(*, incident_id: str) -> dict[str, Any]:
        return respond(incident_id, alarm)

    idempotent = idempotent_function(
        once,
        data_keyword_argument="incident_id",
        persistence_store=store,
        config=config,
        key_prefix="idempotency#respond_to_hang",
    )
    try:
        result: dict[str, Any] = idempotent(incident_id=incident)
    except IdempotencyAlreadyInProgressError:
        logger.info("Another delivery of the same alarm is being handled")
        return resume_collection(incident)
    return result


def _describe_alarms(names: Sequence[str]) -> list[Mapping[str, Any]]:
    described = clients.cloudwatch().describe_alarms(
        AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=100
    )
    return [*described.get("MetricAlarms", []), *described.get("CompositeAlarms", [])]
