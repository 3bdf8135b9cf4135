"""RescueVmcore with the real upload_vmcore on its collector, which reads the copy where it is mounted."""

import pytest

from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost

pytestmark = pytest.mark.nightly


def test_rescues_the_vmcore_of_an_instance_that_does_not_come_back(stack: Stack, host: SimulatedHost) -> None:
    instance_id = stack.add_ready(host)
    host.powers_off = True
    stack.account.computer(instance_id).refuses_to_start = "InsufficientInstanceCapacity"

    ended = stack.run("CollectVmcore", instanceId=instance_id, interrupt=True)

    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["verdict"] == "rescued"
    assert stack.objects_of(instance_id)["vmcore"] == host.dump_bytes
    # Nothing is taken from the dump volume, and nothing is left of what was made.
    assert len(host.vmcores()) == 1
    assert stack.left_of_rescues(instance_id) == []
    assert host.machine.nmi_count == 1
