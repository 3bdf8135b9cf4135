"""Looks each minute for enrolled instances that may hang, and has respond_to_hang check them.

It finds the hangs that trigger no alarm, because the kernel still answers ARP. It has those checked again whose refusal
had a reason that passes. It decides nothing: respond_to_hang gathers the evidence anew.
"""

import json
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.respond.alarm_event import check_event
from lambdas.respond.suspects import choose_due, find_suspects
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import RecordKeeping, ResponseFunction
from lambdas.runtime.observability import entry_point, logger


@entry_point
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Ignores the event, gives `{"suspects","asked"}`."""
    now = moment.now()
    suspects = find_suspects()
    asked = list(choose_due(RecordKeeping.read().table_name, suspects, now))
    function = ResponseFunction.read().respond_to_hang
    for suspect in asked:
        logger.info("Has %s checked: silent or impaired since %s", suspect.instance_id, moment.iso(suspect.onset))
        event = check_event(suspect.instance_id, suspect.hang, at=now, function_arn=context.invoked_function_arn)
        # Asynchronous: a probe takes most of a minute.
        clients.lambda_().invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode())
    return {"suspects": len(suspects), "asked": [suspect.instance_id for suspect in asked]}
