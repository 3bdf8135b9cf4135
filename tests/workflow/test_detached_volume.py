"""An instance that comes back from its crash without its dump volume, as the synthesized state machine sees it."""

from lab.guest.deadline import wait_until
from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost


def _detach_dump_volume(stack: Stack, instance_id: str) -> str:
    ec2, volume_id = stack.account.client("ec2"), stack.volumes_of(instance_id)[0]["VolumeId"]
    ec2.detach_volume(VolumeId=volume_id)
    wait_until(
        lambda: ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"] == "available",
        what="the volume is detached",
        timeout_seconds=30,
    )
    return str(volume_id)


def test_rescues_from_the_volume_without_which_the_instance_came_back(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    volume_id = _detach_dump_volume(stack, ready_instance_id)
    host.fails_with["upload_vmcore"] = {"error": "VmcoreNotFound", "message": "There is no dump below /var/crash."}

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["verdict"] == "rescued"
    assert f"came back, but without its dump volume {volume_id}" in ended["output"]["reason"]
    assert stack.objects_of(ready_instance_id)["vmcore"] == host.dump_bytes
    assert stack.made_by_rescues(ready_instance_id) == []
    assert host.machine.nmi_count == 1


def test_an_instance_with_its_volume_and_without_a_dump_is_not_rescued(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    launched, host.writes_dump = len(stack.collectors), False

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert ended["error"] == "panic-no-dump"
    assert len(stack.collectors) == launched


def test_a_dump_that_nobody_watched_is_not_looked_for_on_a_detached_volume(
    stack: Stack, ready_instance_id: str
) -> None:
    _detach_dump_volume(stack, ready_instance_id)
    launched = len(stack.collectors)

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id)

    assert (ended["error"], len(stack.collectors)) == ("failed", launched)
