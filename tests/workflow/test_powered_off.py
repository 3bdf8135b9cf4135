"""CollectVmcore when the interrupted instance does not reboot but goes off: by itself, or stopped by somebody."""

from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost


def test_starts_an_instance_again_that_powered_itself_off_after_its_dump(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.final_action = "poweroff"

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert ended["output"]["verdict"] == "captured"
    assert stack.objects_of(ready_instance_id)["vmcore"] == host.dump_bytes
    assert host.machine.start_count == 1
    assert host.machine.nmi_count == 1


def test_leaves_an_instance_alone_that_its_user_stopped(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    ec2 = stack.account.client("ec2")
    host.machine.on_nmi = lambda machine: ec2.stop_instances(InstanceIds=[ready_instance_id])

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "failed")
    assert "(Client.UserInitiatedShutdown): not by its own operating system" in ended["cause"]
    assert host.machine.start_count == 0


def test_starts_an_instance_once_that_powers_itself_off_again_and_again(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.final_action = "poweroff"
    host.machine.is_broken = True

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert ended["output"]["verdict"] == "rescued"
    assert "powered itself off once more" in ended["output"]["reason"]
    assert host.machine.start_count == 1


def test_says_that_an_instance_which_is_off_cannot_be_started(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.final_action = "poweroff"
    stack.account.computer(ready_instance_id).refuses_to_start = "InsufficientInstanceCapacity"

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert ended["output"]["verdict"] == "rescued"
    assert "could not be started" in ended["output"]["reason"]
    assert "cannot be started now" in ended["output"]["reason"]
