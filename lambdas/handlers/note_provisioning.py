"""Notes in the fleet table what became of an attempt to provision or to retire an instance."""

import json
from dataclasses import replace
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.fleet.attempts import (
    after_execution,
    after_failure,
    after_retirement,
    after_success,
    is_of_the_request,
)
from lambdas.fleet.row import FleetRow, Status
from lambdas.fleet.table import read_instance_row, write_row
from lambdas.runtime import moment
from lambdas.runtime.environment import Configuration, FleetTable
from lambdas.runtime.errors import AwsUnavailable
from lambdas.runtime.observability import entry_point, logger

# EnrolFleet's plan and an execution may write at the same moment; a third one is rare.
_MOST_TRIES = 5


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"instanceId","executionArn"}` with one of these, gives `{"status"}`.

    `outcome` and `configurationId` of a provisioning that ended well · `failure` of one that did not, or of a
    retirement · `seen`, an execution as DescribeExecution shows it · `isRetired`.
    """
    table_name = FleetTable.read().fleet_table_name
    instance_id = event["instanceId"]
    for _ in range(_MOST_TRIES):
        found = read_instance_row(table_name, instance_id)
        row = found or FleetRow(instance_id=instance_id)
        noted = _after(row, event)
        if noted == row or write_row(table_name, noted):
            logger.info("%s is %s", instance_id, noted.status.value)
            return {"status": noted.status.value}
    raise AwsUnavailable(f"The row of {instance_id} was written by others each time.", AwsUnavailable.next_step)


def _after(row: FleetRow, event: dict[str, Any]) -> FleetRow:
    now, arn = moment.now(), event.get("executionArn", "")
    configuration = Configuration.read().id_of(row.profile)
    if event.get("isRetired"):
        # Its owner may have enrolled it again meanwhile.
        return after_retirement(row, now=now) if row.status is Status.RETIRING else row
    if "seen" in event:
        return after_execution(row, arn, event["seen"], configuration_id=configuration, now=now)
    if arn and row.execution_arn == arn:
        return row
    own = replace(row, execution_arn=arn)
    if "outcome" in event:
        return after_success(own, event["outcome"], configuration_id=event["configurationId"], now=now)
    error, cause = event["failure"].get("Error", ""), _explained(event["failure"].get("Cause", ""))
    if is_of_the_request(error):
        return row
    return after_failure(own, error, cause, configuration_id=configuration, now=now)


def _explained(cause: str) -> str:
    """The message of a function's error, {"errorMessage": …, "stackTrace": …}; any other cause as it is."""
    try:
        content = json.loads(cause)
    except ValueError:
        return cause
    return str(content.get("errorMessage", cause)) if isinstance(content, dict) else cause
