"""Starts, awaits and ends executions for users of the lab. Owns no semantics; those are in stepfunctions.py."""

import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends

from lab.aws.iam.policy import Caller
from lab.aws.state import AccountState, utc_now


def executions(state: AccountState) -> list[Execution]:
    return [execution for machine in _backend(state).state_machines for execution in machine.executions]


def stop_all(state: AccountState) -> None:
    """Ends what still runs, so that no thread outlives the account."""
    for execution in executions(state):
        worker = execution.exec_worker
        # One whose thread has not begun yet has nothing to stop, and moto's own stop would fail on it.
        if execution.status == "RUNNING" and worker is not None and worker.env is not None:
            execution.stop(stop_date=utc_now(), error="Lab.Closing", cause="the account is closing")


def start(state: AccountState, state_machine: str, execution_input: Mapping[str, Any], name: str | None) -> str:
    arn = f"arn:aws:states:{state.region}:{state.account_id}:stateMachine:{state_machine}"
    execution = _backend(state).start_execution(arn, name, json.dumps(execution_input))
    return str(execution.exec_arn)


def start_as(state: AccountState, role_arn: str, state_machine_arn: str, execution_input: Mapping[str, Any]) -> None:
    """A service starts it in the name of a role. Real: EventBridge tries again for a day; here a refusal is final."""
    roles = {arn: name for name, arn, _ in state.permissions.roles()}
    given = {"stateMachineArn": state_machine_arn}

    def forward() -> None:
        _backend(state).start_execution(state_machine_arn, None, json.dumps(execution_input))

    try:
        state.permissions.call(Caller(roles[role_arn], role_arn), "stepfunctions", "StartExecution", given, forward)
    except ClientError as error:
        state.events.emit("events", state_machine_arn, f"not started: {error}")


def wait(state: AccountState, execution_arn: str, timeout_seconds: float) -> dict[str, Any]:
    execution = _backend(state).describe_execution(execution_arn)
    deadline = time.monotonic() + timeout_seconds
    while execution.status == "RUNNING":
        if time.monotonic() >= deadline:
            last = [event.text for event in state.events.matching("stepfunctions")][-5:]
            raise TimeoutError(f"{execution_arn} still runs after {timeout_seconds} s; last: {last}")
        time.sleep(0.05)
    return {
        "status": execution.status,
        "output": execution.output,
        "error": execution.error,
        "cause": execution.cause,
        "executionArn": execution_arn,
    }


def _backend(state: AccountState) -> StepFunctionsParserBackend:
    return stepfunctions_parser_backends[state.account_id][state.region]
