"""Uploads cut off in the middle: each ends with the identical object, or with the file kept; never both lost."""

import json
import threading
from typing import Any

import pytest

from lab.aws.lambda_pool import FunctionSpec, LambdaPool, Outcome
from lab.guest.deadline import wait_until
from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost

TIMED_OUT = {"errorMessage": "Task timed out after 120.00 seconds", "errorType": "Sandbox.Timedout"}


def _collection_of(stack: Stack, instance_id: str) -> str:
    states = stack.account.client("stepfunctions")

    def find() -> str:
        listed = states.list_executions(stateMachineArn=stack.outputs["CollectVmcoreArn"])["executions"]
        return next((each["executionArn"] for each in listed if each["name"].endswith(instance_id)), "")

    return wait_until(find, what="CollectVmcore starts", timeout_seconds=60)


def _start_again(stack: Stack, execution: str, instance_id: str) -> dict[str, Any]:
    """As its operator would: with the incident, so that what arrived is not sent again."""
    described = stack.account.client("stepfunctions").describe_execution(executionArn=execution)
    incident_id = json.loads(described["input"])["incidentId"]
    return stack.run("CollectVmcore", instanceId=instance_id, incidentId=incident_id)


def _time_out(monkeypatch: pytest.MonkeyPatch, function: str, *, after_its_work: bool) -> None:
    """The next call of the function runs out of time; it is not known what it did before."""
    real = LambdaPool.invoke
    left = [function]

    def invoke(pool: LambdaPool, spec: FunctionSpec, event: Any, *, request_id: str) -> Outcome:
        if spec.name not in left:
            return real(pool, spec, event, request_id=request_id)
        left.remove(spec.name)
        if after_its_work:
            real(pool, spec, event, request_id=request_id)
        return Outcome(json.dumps(TIMED_OUT), is_error=True)

    monkeypatch.setattr(LambdaPool, "invoke", invoke)


def test_execution_that_is_aborted_in_mid_upload_is_taken_up_where_it_was(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    sending, released = threading.Event(), threading.Event()

    def wait_at_the_first_part(environment: Any) -> None:
        if environment["SSM_action"] == "upload" and host.calls.count("upload_vmcore") == 3:
            sending.set()
            released.wait(60)

    host.before_upload = wait_at_the_first_part
    host.machine.hang()
    execution = _collection_of(stack, ready_instance_id)
    assert sending.wait(60)
    stack.account.client("stepfunctions").stop_execution(executionArn=execution)
    assert len(host.vmcores()) == 1
    released.set()

    ended = _start_again(stack, execution, ready_instance_id)

    assert ended["output"]["verdict"] == "captured"
    assert stack.objects_of(ready_instance_id)["vmcore"] == host.dump_bytes
    assert host.vmcores() == []
    assert host.machine.nmi_count == 1


@pytest.mark.parametrize(
    ("function", "after_its_work"),
    [
        ("Hangdump-plan_upload", False),
        ("Hangdump-plan_upload", True),
        ("Hangdump-watch_upload", True),
        ("Hangdump-verify_vmcore", False),
        ("Hangdump-verify_vmcore", True),
    ],
)
def test_function_that_runs_out_of_time_loses_nothing(
    stack: Stack,
    host: SimulatedHost,
    ready_instance_id: str,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    after_its_work: bool,
) -> None:
    _time_out(monkeypatch, function, after_its_work=after_its_work)
    host.machine.hang()
    execution = _collection_of(stack, ready_instance_id)
    ended = stack.account.wait_for_execution(execution, timeout_seconds=120)
    if ended["status"] != "SUCCEEDED":
        assert len(host.vmcores()) == 1, "the file is kept"
        ended = _start_again(stack, execution, ready_instance_id)
    assert ended["output"]["verdict"] == "captured"
    assert stack.objects_of(ready_instance_id)["vmcore"] == host.dump_bytes
    assert host.vmcores() == []
