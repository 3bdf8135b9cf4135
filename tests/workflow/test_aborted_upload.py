"""An execution that is aborted while upload_vmcore sends: the next one goes on where it was."""

import json
import threading

import pytest

from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost

pytestmark = pytest.mark.nightly


def test_an_upload_that_was_aborted_is_taken_up_where_it_was(stack: Stack, host: SimulatedHost) -> None:
    instance_id = stack.add_ready(host)
    sending, released = threading.Event(), threading.Event()

    def wait(calls_before: int) -> None:
        # The first call only hashes.
        if calls_before == 1:
            sending.set()
            released.wait(60)

    host.before_upload = wait
    host.machine.hang()
    execution = stack.collection_of(instance_id)
    assert sending.wait(60)
    states = stack.account.client("stepfunctions")
    states.stop_execution(executionArn=execution)
    assert len(host.vmcores()) == 1
    released.set()
    incident_id = json.loads(states.describe_execution(executionArn=execution)["input"])["incidentId"]

    ended = stack.run("CollectVmcore", instanceId=instance_id, incidentId=incident_id)

    assert ended["output"]["verdict"] == "captured"
    assert stack.objects_of(instance_id)["vmcore"] == host.dump_bytes
    assert host.vmcores() == []
    assert host.machine.nmi_count == 1
