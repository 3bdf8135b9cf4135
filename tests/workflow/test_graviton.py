"""arm64: nothing can interrupt it; triggers of its own make it dump, and that dump is brought home like any other."""

import json

import pytest

from tests.workflow.conftest import AddInstance, Stack
from tests.workflow.simulated_host import SimulatedHost
from tests.workflow.test_collect_vmcore import alarm_event, incident_record


@pytest.fixture
def graviton_id(stack: Stack, host: SimulatedHost, add_instance: AddInstance) -> str:
    """An arm64 instance that ProvisionDumpVolume made ready."""
    host.is_reserved = True
    graviton = add_instance(instance_type="t4g.micro", architecture="arm64")
    ended = stack.run("ProvisionDumpVolume", instanceId=graviton)
    assert ended["status"] == "SUCCEEDED", ended
    return graviton


def test_is_made_ready_and_told_that_nothing_can_interrupt_it(
    stack: Stack, host: SimulatedHost, add_instance: AddInstance
) -> None:
    host.is_reserved = True
    graviton = add_instance(instance_type="t4g.micro", architecture="arm64")

    ended = stack.run("ProvisionDumpVolume", instanceId=graviton)

    assert ended["output"]["status"] == "ready"
    assert ended["output"]["diagnosticInterrupt"]["status"] == "unsupported"
    assert "softlockup_panic, hung_task_panic" in ended["output"]["diagnosticInterrupt"]["detail"]
    assert "hangdump:ready" in stack.tags_of(graviton)
    # Its alarm can only be refused, but then somebody hears of the hang and of what can be done.
    assert stack.alarms_of(graviton) == [f"hangdump-{graviton}"]


def test_alarm_is_refused_as_unsupported_and_says_what_to_do(
    stack: Stack, host: SimulatedHost, graviton_id: str
) -> None:
    decision = stack.account.invoke("Hangdump-respond_to_hang", alarm_event(stack, graviton_id))

    assert (decision["decision"], decision["reason"]) == ("refuse", "unsupported-architecture")
    assert incident_record(stack, decision["incidentId"])["verdict"]["S"] == "unsupported"
    told = [message for message in map(str, stack.account.notifications) if graviton_id in message]
    assert "start CollectVmcore with its instanceId" in told[-1]
    assert host.machine.nmi_count == 0


def test_interrupt_that_is_asked_for_ends_unsupported(stack: Stack, host: SimulatedHost, graviton_id: str) -> None:
    ended = stack.run("CollectVmcore", instanceId=graviton_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "unsupported")
    assert "arm64" in ended["cause"]
    assert host.machine.nmi_count == 0


def test_dump_of_its_own_trigger_is_brought_home(stack: Stack, host: SimulatedHost, graviton_id: str) -> None:
    host.panic()

    ended = stack.run("CollectVmcore", instanceId=graviton_id)

    assert ended["output"]["verdict"] == "captured"
    objects = stack.objects_of(graviton_id)
    assert objects["vmcore"] == host.dump_bytes
    assert json.loads(objects["incident.json"])["verdict"] == "captured"
    assert host.vmcores() == []
