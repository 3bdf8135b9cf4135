"""The end of a collection whose conclude_incident fails: Step Functions itself records a verdict.

It writes the minimum to the record, the notification and the metric, but no report. Each step leads to the next even if
it fails.
"""

from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.foundation import grants
from infra.foundation.incidents import Incidents
from infra.states.tasks import ApiCall, ClosedFragment, set_fields, task
from lambdas.incident.index_fields import LISTED_UNDER, OPENED_AT, index_fields
from lambdas.incident.record import SAFE_VERDICTS, State, Verdict
from lambdas.runtime.telemetry_names import NAMESPACE, SERVICE, SERVICE_DIMENSION, Metric

_SAFE = "The vmcore is in the bucket, verified, and opens, but its report was not written"


class ConcludeWithoutFunction(ClosedFragment):
    """Reads `$.facts` and the {Error, Cause} at `$.failure`, then leads to `then`."""

    def __init__(
        self,
        scope: Construct,
        title: str,
        *,
        incidents: Incidents,
        proven: Verdict,
        then: sfn.State,
    ) -> None:
        super().__init__(scope, f"{title} states")
        opened = set_fields(
            self, "Name the incident that was opened", {"id.$": "$.facts.incident.incidentId"}, result_path="$.ending"
        )
        unopened = set_fields(
            self, "Name the incident after the execution", {"id.$": "$.facts.executionName"}, result_path="$.ending"
        )
        record = task(self, "Record the verdict", _update(incidents), comment="A vmcore that is in the bucket stays so")
        tell = task(self, "Tell the verdict", _publish(incidents))
        count = task(self, "Count the verdict", _metric())
        was_opened = sfn.Choice(self, "Was the vmcore opened all the same?")
        safe, failed = (
            self._verdict(proven, _SAFE),
            self._verdict(Verdict.FAILED, "The incident could not be concluded"),
        )
        # The same condition as in decide_verdict.
        was_opened.when(sfn.Condition.is_present("$.facts.opened.kernelRelease"), safe).otherwise(failed)
        for named in (opened, unopened):
            named.next(was_opened)
        for verdict in (safe, failed):
            verdict.next(record)
        record.next(tell).next(count).next(then)
        record.add_catch(tell, errors=["States.ALL"], result_path="$.untold")
        tell.add_catch(count, errors=["States.ALL"], result_path="$.untold")
        count.add_catch(then, errors=["States.ALL"], result_path="$.untold")
        self._start = sfn.Choice(self, title)
        self._start.when(sfn.Condition.is_present("$.facts.incident.incidentId"), opened).otherwise(unopened)

    def _verdict(self, verdict: Verdict, reason: str) -> sfn.Pass:
        values = {
            "id.$": "$.ending.id",
            "verdict": verdict.value,
            "reason.$": f"States.Format('{reason}: {{}}: {{}} Fix that, then start CollectVmcore again for the "
            "instance.', $.failure.Error, $.failure.Cause)",
        }
        return set_fields(self, f"Take the verdict {verdict.value}", values, result_path="$.ending")


def conclude_statements(incidents: Incidents) -> list[iam.PolicyStatement]:
    """Record, publish and count without the function."""
    return [
        grants.update_incidents(incidents.table),
        iam.PolicyStatement(actions=["sns:Publish"], resources=[incidents.topic.topic_arn]),
        # PutMetricData takes no resource; only the namespace can limit it.
        iam.PolicyStatement(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
        ),
    ]


def _update(incidents: Incidents) -> ApiCall:
    values = {
        "incidentId": {"S.$": "$.ending.id"},
        "state": {"S": State.CONCLUDED.value},
        "verdict": {"S.$": "$.ending.verdict"},
        "verdictReason": {"S.$": "$.ending.reason"},
        "concludedAt": {"S.$": "$$.State.EnteredTime"},
        "concludedBy": {"S.$": "$.facts.executionName"},
        LISTED_UNDER: {"S": index_fields()[LISTED_UNDER]},
    }
    sets = [f"#{name} = :{name}" for name in values]
    # An execution with a wrong input has no record before this.
    sets.append(f"#{OPENED_AT} = if_not_exists(#{OPENED_AT}, :concludedAt)")
    safe = {f":{verdict.value}": {"S": verdict.value} for verdict in SAFE_VERDICTS}
    parameters: dict[str, Any] = {
        "TableName": incidents.table.table_name,
        "Key": {"pk": {"S.$": "States.Format('incident#{}', $.ending.id)"}},
        "UpdateExpression": f"SET {', '.join(sets)}",
        "ConditionExpression": f"attribute_not_exists(#verdict) OR NOT #verdict IN ({', '.join(safe)})",
        "ExpressionAttributeNames": {f"#{name}": name for name in (*values, OPENED_AT)},
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()} | safe,
    }
    return ApiCall("dynamodb", "updateItem", parameters)


def _publish(incidents: Incidents) -> ApiCall:
    parameters = {
        "TopicArn": incidents.topic.topic_arn,
        # SNS allows 100 characters: a verdict and an incident's id have fewer than 60, an execution's name up to 80.
        "Subject.$": "States.Format('Hangdump: {} {}', $.ending.verdict, $.ending.id)",
        "Message.$": "States.Format('{}: {}. {} Execution: {}', $.ending.verdict, $.ending.id, $.ending.reason, "
        "$$.Execution.Id)",
    }
    return ApiCall("sns", "publish", parameters)


def _metric() -> ApiCall:
    service = {"Name": SERVICE_DIMENSION, "Value": SERVICE}
    verdict = {"Name": "verdict", "Value.$": "$.ending.verdict"}
    datum = {"MetricName": Metric.INCIDENTS.value, "Value": 1, "Unit": "Count"}
    data = [{**datum, "Dimensions": dimensions} for dimensions in ([service], [service, verdict])]
    return ApiCall("cloudwatch", "putMetricData", {"Namespace": NAMESPACE, "MetricData": data})
