"""RescueVmcore, interpreted from the synthesized template: whatever happens on its way, nothing it made is left."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from lab.guest.deadline import wait_until
from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost
from tests.workflow.test_collect_vmcore import incident_record
from tests.workflow.test_sweep import of, sweep


@pytest.fixture(autouse=True)
def undisturbed(stack: Stack) -> Iterator[None]:
    """What a test lets go wrong goes right again after it."""
    stack.collectors.clear()
    yield
    stack.prepare_collector = lambda _: None
    stack.account.break_snapshots(are_broken=False)
    for action in ("CreateSnapshot", "RunInstances"):
        stack.account.refuse(action, "")


@pytest.fixture
def lost_instance_id(stack: Stack, host: SimulatedHost, ready_instance_id: str) -> str:
    """An instance that powers itself off after its dump, and that EC2 does not start again."""
    host.final_action = "poweroff"
    stack.account.computer(ready_instance_id).refuses_to_start = "InsufficientInstanceCapacity"
    return ready_instance_id


@pytest.fixture
def dumped_instance_id(stack: Stack, host: SimulatedHost, ready_instance_id: str) -> str:
    """An instance that panicked by itself some time ago, and is off."""
    host.write_dump()
    stack.account.client("ec2").stop_instances(InstanceIds=[ready_instance_id])
    return ready_instance_id


def _collector(stack: Stack) -> SimulatedHost:
    (collector,) = stack.collectors
    return collector


def test_rescues_the_vmcore_of_an_instance_that_does_not_come_back(
    stack: Stack, host: SimulatedHost, lost_instance_id: str
) -> None:
    ended = stack.run("CollectVmcore", instanceId=lost_instance_id, interrupt=True)

    assert ended["status"] == "SUCCEEDED", ended
    verdict = ended["output"]
    assert verdict["verdict"] == "rescued"
    assert "could not be started" in verdict["reason"]
    objects = stack.objects_of(lost_instance_id)
    assert objects["vmcore"] == host.dump_bytes
    assert json.loads(objects["incident.json"])["verdict"] == "rescued"
    manifest = json.loads(objects["manifest.json"])
    assert manifest["readFrom"]["volumeId"] == stack.volumes_of(lost_instance_id)[0]["VolumeId"]
    assert manifest["readFrom"]["collectorId"].startswith("i-")
    assert manifest["instance"]["kernel"] == ""
    # Nothing is taken from the dump volume, and nothing is left of what was made.
    assert len(host.vmcores()) == 1
    assert host.machine.nmi_count == 1
    assert stack.made_by_rescues(lost_instance_id) == []
    assert not _collector(stack).machine.is_on


def test_tells_of_a_rescue_once(stack: Stack, lost_instance_id: str) -> None:
    stack.run("CollectVmcore", instanceId=lost_instance_id, interrupt=True)

    told = [each.subject for each in stack.account.notifications if lost_instance_id in each.subject]
    assert [subject for subject in told if "rescued" in subject] == told
    assert len(told) == 1


def test_rescues_by_hand_what_lies_on_the_dump_volume(
    stack: Stack, host: SimulatedHost, dumped_instance_id: str
) -> None:
    ended = stack.run("RescueVmcore", instanceId=dumped_instance_id)

    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["verdict"] == "rescued"
    assert stack.objects_of(dumped_instance_id)["vmcore"] == host.dump_bytes
    assert stack.made_by_rescues(dumped_instance_id) == []


def test_rescues_by_hand_the_incident_that_failed(stack: Stack, host: SimulatedHost, lost_instance_id: str) -> None:
    stack.account.refuse("RunInstances", "InsufficientInstanceCapacity")
    failed = stack.run("CollectVmcore", instanceId=lost_instance_id, interrupt=True)
    incident_id = failed["cause"].split('{"incidentId": "')[1].split('"')[0]
    stack.account.refuse("RunInstances", "")

    ended = stack.run("RescueVmcore", incidentId=incident_id)
    again = stack.run("RescueVmcore", incidentId=incident_id)

    assert ended["output"] == ended["output"] | {"verdict": "rescued", "incidentId": incident_id}
    assert incident_record(stack, incident_id)["verdict"]["S"] == "rescued"
    assert "in the bucket already" in again["cause"]
    assert incident_record(stack, incident_id)["verdict"]["S"] == "rescued"


def _refuse_snapshots(stack: Stack) -> None:
    stack.account.refuse("CreateSnapshot", "SnapshotLimitExceeded")


def _break_snapshots(stack: Stack) -> None:
    stack.account.break_snapshots(are_broken=True)


def _lack_capacity(stack: Stack) -> None:
    stack.account.refuse("RunInstances", "InsufficientInstanceCapacity")


def _let_collectors(change: Callable[[SimulatedHost], None]) -> Callable[[Stack], None]:
    def arrange(stack: Stack) -> None:
        stack.prepare_collector = change

    return arrange


def _die_at_start(collector: SimulatedHost) -> None:
    collector.machine.is_broken = True


def _never_answer(collector: SimulatedHost) -> None:
    # Reset by the start: said again by whoever looks.
    collector.machine.boot_seconds = 1e6


def _find_no_file_system(collector: SimulatedHost) -> None:
    collector.fails_with["mount_dump_copy"] = {"error": "DumpVolumeMismatch", "message": "neither xfs nor ext4."}


def _lose_the_dump(collector: SimulatedHost) -> None:
    def before_upload(environment: Any) -> None:
        if environment["SSM_action"] == "upload":
            for dump in (collector.machine.root / "mnt").glob("*/*/dump.*"):
                dump.write_bytes(b"KDUMP   something else")

    collector.before_upload = before_upload


@pytest.mark.parametrize(
    ("arrange", "cause"),
    [
        pytest.param(_refuse_snapshots, "No snapshot of", id="no snapshot is allowed"),
        pytest.param(_break_snapshots, "went to state error", id="the snapshot breaks"),
        pytest.param(_lack_capacity, "No instance can be launched", id="no capacity"),
        pytest.param(_let_collectors(_die_at_start), "instead of running", id="the collector dies"),
        pytest.param(_let_collectors(_never_answer), "did not hear of collector", id="the collector never answers"),
        pytest.param(_let_collectors(_find_no_file_system), "neither xfs nor ext4", id="nothing can be mounted"),
        pytest.param(_let_collectors(_lose_the_dump), "VmcoreChanged", id="the upload fails"),
    ],
)
def test_leaves_nothing_behind_when_it_fails(
    stack: Stack, host: SimulatedHost, dumped_instance_id: str, arrange: Callable[[Stack], None], cause: str
) -> None:
    arrange(stack)

    ended = stack.run("RescueVmcore", instanceId=dumped_instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "failed")
    assert cause in ended["cause"]
    assert "was not touched" in ended["cause"]
    assert stack.made_by_rescues(dumped_instance_id) == []
    assert "vmcore" not in stack.objects_of(dumped_instance_id)
    assert len(host.vmcores()) == 1
    assert [each["State"] for each in stack.volumes_of(dumped_instance_id)] == ["in-use"]


def test_says_that_the_dump_volume_holds_no_vmcore(stack: Stack, host: SimulatedHost, lost_instance_id: str) -> None:
    host.writes_dump = False

    ended = stack.run("CollectVmcore", instanceId=lost_instance_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "panic-no-dump")
    assert stack.made_by_rescues(lost_instance_id) == []


def test_copies_nothing_of_an_instance_whose_owner_has_opted_out(
    stack: Stack, dumped_instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.account.client("ec2").delete_tags(Resources=[dumped_instance_id], Tags=[{"Key": "hangdump:enrolled"}])

    ended = stack.run("RescueVmcore", instanceId=dumped_instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "refused")
    assert (
        stack.account.events.matching("ec2", f"snapshot of {stack.volumes_of(dumped_instance_id)[0]['VolumeId']}") == []
    )


@pytest.mark.parametrize(
    "execution_input",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"instanceId": "i-0123456789abcdef0"}, id="an instance without a dump volume"),
        pytest.param({"incidentId": "20261123T040000Z-i-0123456789abcdef0"}, id="an incident that does not exist"),
        pytest.param({"instanceId": "i-0123456789abcdef0", "volume": "vol-1"}, id="an unknown field"),
    ],
)
def test_ends_bad_input_with_a_verdict(stack: Stack, execution_input: dict[str, str]) -> None:
    ended = stack.run("RescueVmcore", **execution_input)

    assert (ended["status"], ended["error"]) == ("FAILED", "failed")
    assert stack.collectors == []


def test_the_sweep_ends_what_an_aborted_rescue_left_and_no_live_one(
    stack: Stack, host: SimulatedHost, lost_instance_id: str
) -> None:
    stack.prepare_collector = _never_answer
    collection = stack.account.start_execution("CollectVmcore", {"instanceId": lost_instance_id, "interrupt": True})
    wait_until(lambda: bool(stack.collectors), what="the collector is launched", timeout_seconds=90)
    _make_older(stack, lost_instance_id)

    assert of(lost_instance_id, sweep(stack)) == {}

    states = stack.account.client("stepfunctions")
    running = states.list_executions(stateMachineArn=stack.outputs["RescueVmcoreArn"], statusFilter="RUNNING")
    states.stop_execution(executionArn=running["executions"][0]["executionArn"])
    ended = stack.account.wait_for_execution(collection, timeout_seconds=90)
    assert (ended["status"], ended["error"]) == ("FAILED", "failed")
    assert "ended as ABORTED" in ended["cause"]
    assert len(stack.made_by_rescues(lost_instance_id)) == 4
    # The collector first; what it used is free by the next sweep.
    sweep(stack)
    wait_until(lambda: not stack.made_by_rescues(lost_instance_id), what="all of it is gone", timeout_seconds=30)
    assert len(host.vmcores()) == 1


def _make_older(stack: Stack, instance_id: str) -> None:
    """A sweep leaves alone what is younger than an hour."""
    backend, age = stack.account._state.backend("ec2"), timedelta(hours=2)
    for made in stack.made_by_rescues(instance_id):
        if made.startswith("i-"):
            backend.get_instance(made).launch_time -= age
        elif made.startswith("snap-"):
            backend.get_snapshot(made).start_time -= age
        else:
            backend.get_volume(made).create_time -= age
