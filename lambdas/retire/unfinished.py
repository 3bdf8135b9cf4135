"""Finds what still works on an instance: running executions, and incidents without an end."""

import re
from collections.abc import Iterator

from lambdas.incident.record import CRASHED, State
from lambdas.incident.update_expression import deserialize, serialize
from lambdas.runtime import clients

_ID = re.compile(r"i-[0-9a-f]{17}|i-[0-9a-f]{8}")
_UNFINISHED = (State.OPENED, *CRASHED)


def running_execution(instance_id: str, *machine_arns: str) -> str:
    """The ARN of an execution that works on the instance, or "".

    Its name holds the instance, or its input does: the instance's id, or that of an incident, which ends with it.
    """
    return next((arn for machine in machine_arns for arn in _running(instance_id, machine)), "")


def _running(instance_id: str, machine_arn: str) -> Iterator[str]:
    pages = (
        clients.stepfunctions()
        .get_paginator("list_executions")
        .paginate(stateMachineArn=machine_arn, statusFilter="RUNNING")
    )
    for execution in (each for page in pages for each in page["executions"]):
        arn = execution["executionArn"]
        named = _ID.findall(execution["name"])
        if not named:
            named = _ID.findall(clients.stepfunctions().describe_execution(executionArn=arn).get("input", ""))
        if instance_id in named:
            yield arn


def unfinished_incident(instance_id: str, table_name: str) -> str:
    """The id of an incident of the instance without a verdict, or ""."""
    states = {f":s{number}": state.value for number, state in enumerate(_UNFINISHED)}
    is_wanted = f"#instance = :instance AND #state IN ({', '.join(states)})"
    pages = (
        clients.dynamodb()
        .get_paginator("scan")
        .paginate(
            TableName=table_name,
            FilterExpression=f"begins_with(#pk, :incident) AND {is_wanted}",
            ProjectionExpression="#pk",
            ExpressionAttributeNames={"#pk": "pk", "#instance": "instanceId", "#state": "state"},
            ExpressionAttributeValues=serialize({":incident": "incident#", ":instance": instance_id, **states}),
            # An incident that was opened a moment ago counts.
            ConsistentRead=True,
        )
    )
    keys = (str(deserialize(item)["pk"]) for page in pages for item in page["Items"])
    return next((key.removeprefix("incident#") for key in keys), "")
