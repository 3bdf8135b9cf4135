"""The end of a collection whose conclude_incident runs out of time: the verdict is not lost with it."""

import json

import pytest

from lab.aws.lambda_pool import FunctionSpec, LambdaPool, Outcome
from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost

TIMED_OUT = {"errorMessage": "Task timed out after 120.00 seconds", "errorType": "Sandbox.Timedout"}


def test_function_that_fails_once_is_asked_again(
    stack: Stack, host: SimulatedHost, ready_instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = LambdaPool.invoke, iter([Outcome(json.dumps(TIMED_OUT), is_error=True)])

    def invoke(pool: LambdaPool, spec: FunctionSpec, event: object, *, request_id: str) -> Outcome:
        failure = next(failures, None) if spec.name == "Hangdump-conclude_incident" else None
        return failure or real(pool, spec, event, request_id=request_id)

    monkeypatch.setattr(LambdaPool, "invoke", invoke)
    host.panic()
    stack.wait_until_online(ready_instance_id)

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id)

    assert ended["output"]["verdict"] == "captured"
    assert next(failures, None) is None
    (told,) = [each for each in stack.account.notifications if ready_instance_id in each.subject]
    assert "captured" in told.subject
