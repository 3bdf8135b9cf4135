"""A dump volume that is parked: made ready, crashed, put away again; and what goes wrong on the way."""

import os
from typing import Any

from lab.machines.machine import MachineUnreachable
from lab.simulator.modelled_documents import config_id, make_file_system
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World
from lambdas.runtime.tags import READY_CONFIG_TAG
from tests.simulator.rare_scenarios import drill_unheard


def _snapshots(world: World) -> list[str]:
    return [each["SnapshotId"] for each in world.snapshots_of(world.instance_id)]


def _park(world: World, **more: Any) -> dict[str, Any]:
    return world.run("ProvisionDumpVolume", instanceId=world.instance_id, dumpVolume="parked", **more)


def test_parks_the_volume_of_a_ready_instance_as_a_snapshot(world: World) -> None:
    ended = _park(world)

    assert (ended["output"]["status"], ended["output"]["dumpVolume"]) == ("ready", {"status": "parked"})
    assert world.volumes_of(world.instance_id) == []
    assert _snapshots(world) == [world.parked_as()]
    assert "hangdump:ready" in world.tags_of(world.instance_id)


def test_a_parked_instance_is_known_by_the_configuration_that_it_boots_with_from_now_on(world: World) -> None:
    attached = config_id(world.host)

    _park(world)

    assert world.tags_of(world.instance_id)[READY_CONFIG_TAG] == config_id(world.host) != attached
    assert (
        world.run("ProvisionDumpVolume", instanceId=world.instance_id, dumpVolume="attached")["status"] == "SUCCEEDED"
    )
    assert world.tags_of(world.instance_id)[READY_CONFIG_TAG] == attached


def test_changes_nothing_where_it_is_parked_already(world: World) -> None:
    _park(world)
    snapshot = world.parked_as()

    ended = _park(world)

    assert (ended["output"]["status"], ended["output"]["volumeAction"]) == ("ready", "parked")
    assert (_snapshots(world), world.volumes_of(world.instance_id)) == ([snapshot], [])


def test_a_hang_ends_in_a_dump_on_a_volume_of_the_snapshot_that_is_then_put_away(world: World) -> None:
    _park(world)
    snapshot = world.parked_as()

    ended = world.hang()

    assert ended["output"]["verdict"] == "captured", ended
    assert "ready to dump again" in ended["output"]["reason"]
    assert world.volumes_of(world.instance_id) == []
    assert world.parked_as() == snapshot
    assert world.host.dumps() == []
    assert len(world.vmcores()) == 1


def test_a_panic_by_itself_waits_for_its_alarm_and_is_dumped_too(world: World) -> None:
    _park(world)
    world.host.panic()
    scheduler.sleep(200)
    world.alarm()
    world.settle(seconds=5)

    ended = world.last("CollectVmcore")

    assert ended["output"]["verdict"] == "captured", ended
    assert world.host.nmis == []
    assert world.volumes_of(world.instance_id) == []


def test_a_volume_that_cannot_be_made_is_named_in_the_verdict(world: World) -> None:
    _park(world)
    world.account.refuse("CreateVolume", "InsufficientVolumeCapacity")

    ended = world.hang()

    assert ended["error"] == "panic-no-dump", ended
    assert "parked dump volume could not be attached" in ended["cause"]
    assert "No volume can be made now" in ended["cause"]
    assert "rebooting without a dump" in world.host.log


def test_stays_attached_where_kdump_is_not_proven_to_wait_and_says_so(world: World) -> None:
    world.host.can_park = False

    ended = _park(world)

    assert ended["output"]["status"] == "ready"
    assert ended["output"]["dumpVolume"]["status"] == "attached"
    assert "rpm host" in ended["output"]["dumpVolume"]["reason"]
    assert len(world.volumes_of(world.instance_id)) == 1
    assert (_snapshots(world), world.parked_as()) == ([], "")


def test_is_attached_again_when_that_is_wanted_and_leaves_no_snapshot(world: World) -> None:
    _park(world)

    ended = world.run("ProvisionDumpVolume", instanceId=world.instance_id, dumpVolume="attached")

    assert (ended["output"]["status"], ended["output"]["dumpVolume"]) == ("ready", {"status": "attached"})
    assert len(world.volumes_of(world.instance_id)) == 1
    assert (_snapshots(world), world.parked_as()) == ([], "")


def test_a_parked_volume_that_is_gone_is_not_interrupted_for_and_is_made_anew(world: World) -> None:
    _park(world)
    world.account.client("ec2").delete_snapshot(SnapshotId=world.parked_as())

    ended = world.hang()

    assert (ended, world.host.nmis) == ({}, [])
    assert any("not-ready" in n.subject + n.message for n in world.told())
    world.host.reboot()
    scheduler.sleep(600)
    assert _park(world)["output"]["dumpVolume"] == {"status": "parked"}
    assert _snapshots(world) == [world.parked_as()]


def test_a_sweep_takes_the_mark_from_an_instance_whose_parked_volume_is_gone(world: World) -> None:
    _park(world)
    world.account.client("ec2").delete_snapshot(SnapshotId=world.parked_as())

    findings = world.sweep(days_later=1)

    assert [each["kind"] for each in findings if each["subject"] == world.instance_id] == ["parked-volume-gone"]
    assert "hangdump:ready" not in world.tags_of(world.instance_id)


def test_a_host_that_lost_what_it_needs_is_made_ready_with_another_volume(world: World) -> None:
    _park(world)
    snapshot = world.parked_as()
    checks = iter([False])

    def lose_it_once() -> None:
        world.host.is_ready = next(checks, True)

    world.host.before["check_kdump"] = lose_it_once

    ended = _park(world)

    assert (ended["output"]["status"], ended["output"]["volumeAction"]) == ("ready", "create")
    assert world.parked_as() != snapshot
    assert (_snapshots(world), world.volumes_of(world.instance_id)) == ([world.parked_as()], [])


def test_a_dump_that_is_not_collected_keeps_the_volume(world: World) -> None:
    _park(world)
    world.host.fails_with["upload_vmcore upload"] = {"error": "UploadRefused", "message": "S3 answered 403."}

    ended = world.hang()

    assert ended["error"] == "failed", ended
    assert len(world.volumes_of(world.instance_id)) == 1
    assert len(world.host.disk) == 1
    del world.host.fails_with["upload_vmcore upload"]
    fetched = world.run("CollectVmcore", instanceId=world.instance_id)
    assert fetched["output"]["verdict"] == "captured", fetched
    assert world.volumes_of(world.instance_id) == []


def test_retiring_leaves_nothing_of_it(world: World) -> None:
    _park(world)

    ended = world.run("RetireInstance", instanceId=world.instance_id)

    assert ended["output"]["status"] == "retired", ended
    assert (_snapshots(world), world.parked_as(), world.volumes_of(world.instance_id)) == ([], "", [])


def test_a_terminated_instance_takes_its_parked_volume_with_it(world: World) -> None:
    _park(world)
    world.account.client("ec2").terminate_instances(InstanceIds=[world.instance_id])
    world.settle(seconds=600)

    assert (_snapshots(world), world.parked_as()) == ([], "")


def test_a_drill_proves_the_wait_and_leaves_no_snapshot(world: World) -> None:
    os.environ["DUMP_VOLUME"] = "parked"

    ended = world.run("DrillDump", instanceId=world.instance_id)

    assert ended["output"]["status"] == "proven", ended
    (twin,) = world.collectors
    assert "park_dump_volume park" in twin.documents_run
    assert "hangdump: waiting for the dump volume" in twin.log
    twin_id = ended["output"]["twinId"]
    assert (world.snapshots_of(twin_id), world.volumes_of(twin_id)) == ([], [])
    assert ended["output"]["isAnythingLeft"] is False


def test_a_drill_leaves_no_snapshot_when_nobody_hears_of_the_end_of_its_twin(world: World) -> None:
    drill_unheard(world)

    ended = world.last("DrillDump")
    assert ended["output"]["status"] == "proven", ended
    assert world.snapshots_of(ended["output"]["twinId"]) == []


def test_a_file_system_that_was_made_again_is_parked_with_a_snapshot_of_its_own(world: World) -> None:
    _park(world)
    snapshot = world.parked_as()

    def make_it_again() -> None:
        (volume,) = world.host.plugged
        make_file_system(world.host, volume)

    world.host.before["upload_vmcore remove"] = make_it_again

    ended = world.hang()

    assert "Its dump volume stays attached: DetachmentLate" in ended["output"]["reason"]
    assert len(world.volumes_of(world.instance_id)) == 1
    _park(world)
    assert world.parked_as() != snapshot
    assert (_snapshots(world), world.volumes_of(world.instance_id)) == ([world.parked_as()], [])


def test_an_interrupt_by_hand_takes_the_same_way(world: World) -> None:
    _park(world)
    world.host.hang()
    scheduler.sleep(150)

    ended = world.run("CollectVmcore", instanceId=world.instance_id, interrupt=True)

    assert ended["output"]["verdict"] == "captured", ended
    assert world.volumes_of(world.instance_id) == []


def test_a_sweep_removes_the_parked_volume_of_a_terminated_instance_that_nobody_told_of(world: World) -> None:
    _park(world)
    (told,) = (rule for rule in world.rules() if "InstanceTerminated" in rule.name)
    told.state = "DISABLED"
    world.account.client("ec2").terminate_instances(InstanceIds=[world.instance_id])
    world.settle(seconds=600)
    world.forget_instance(world.instance_id)
    snapshot = world.parked_as()
    assert _snapshots(world) == [snapshot]

    findings = world.sweep(days_later=1)

    assert [each["kind"] for each in findings if each["subject"] == snapshot] == ["parked-without-instance"]
    assert (_snapshots(world), world.parked_as()) == ([], "")


def _panic_in(world: World, document: str) -> None:
    """It panics when the document has begun, and its alarm is delivered."""

    def panic() -> None:
        del world.host.before[document]
        world.host.panic()
        scheduler.spawn(be_heard)
        raise MachineUnreachable("it has panicked")

    def be_heard() -> None:
        scheduler.sleep(200)
        world.alarm()

    world.host.before[document] = panic


def test_a_crash_while_the_volume_is_attached_again_gets_the_file_system_that_it_waits_for(world: World) -> None:
    """The new volume is there, and blank."""
    _park(world)
    _panic_in(world, "prepare_dump_volume")

    world.run("ProvisionDumpVolume", instanceId=world.instance_id, dumpVolume="attached")

    ended = world.last("CollectVmcore")
    assert ended["output"]["verdict"] == "captured", ended


def test_a_volume_is_kept_if_the_host_has_booted_since_it_saw_that_it_is_empty(world: World) -> None:
    world.host.before["probe_instance"] = world.host.reboot

    ended = _park(world)

    assert (ended["status"], ended["error"]) == ("FAILED", "DetachmentLate")
    assert "there may be a dump on it" in ended["cause"]
    (volume,) = world.volumes_of(world.instance_id)
    del world.host.before["probe_instance"]
    assert _park(world)["output"]["dumpVolume"] == {"status": "parked"}
    assert world.volumes_of(world.instance_id) == []
    assert volume["State"] == "available"


def test_a_volume_that_cannot_be_made_at_first_comes_while_the_crash_kernel_waits(world: World) -> None:
    _park(world)
    world.account.refuse("CreateVolume", "InsufficientVolumeCapacity")

    def be_there() -> None:
        scheduler.sleep(400)
        world.account.refuse("CreateVolume", "")

    scheduler.spawn(be_there)

    assert world.hang()["output"]["verdict"] == "captured"


def test_a_foreign_volume_with_the_tag_keeps_no_dump_away(world: World) -> None:
    _park(world)
    ec2 = world.account.client("ec2")
    foreign = ec2.create_volume(AvailabilityZone=f"{world.account.region}b", Size=8)["VolumeId"]
    ec2.create_tags(Resources=[foreign], Tags=[{"Key": "hangdump:instance-id", "Value": world.instance_id}])

    assert world.hang()["output"]["verdict"] == "captured"
    assert [each["VolumeId"] for each in world.volumes_of(world.instance_id)] == [foreign]


def test_a_host_that_is_not_ready_is_unmarked_before_it_gets_another_volume(world: World) -> None:
    _park(world)
    world.host.is_ready = False
    world.account.refuse("CreateVolume", "VolumeLimitExceeded")

    ended = _park(world)

    assert ended["status"] == "FAILED"
    assert "hangdump:ready" not in world.tags_of(world.instance_id)


def test_a_host_that_lost_it_is_measured_for_another_volume(world: World) -> None:
    _park(world, dumpVolumeSizing="measured")
    checks = iter([False])

    def lose_it_once() -> None:
        world.host.is_ready = next(checks, True)

    world.host.before["check_kdump"] = lose_it_once

    assert _park(world)["output"]["dumpVolume"] == {"status": "parked"}


def test_a_refusal_to_park_again_ends_with_a_volume_attached_and_its_reason(world: World) -> None:
    _park(world)
    world.host.can_park = False

    ended = _park(world)

    assert ended["output"]["dumpVolume"]["status"] == "attached"
    assert ended["output"]["dumpVolume"]["reason"].startswith("This is an rpm host")
    assert len(world.volumes_of(world.instance_id)) == 1
    assert (_snapshots(world), world.parked_as()) == ([], "")


def test_a_volume_that_was_attached_for_good_meanwhile_is_not_parked_again(world: World) -> None:
    _park(world)

    def attach() -> None:
        del world.host.before["upload_vmcore remove"]
        key = {"pk": {"S": f"parked#{world.instance_id}"}}
        world.account.client("dynamodb").delete_item(TableName=world.outputs["IncidentTableName"], Key=key)

    world.host.before["upload_vmcore remove"] = attach

    ended = world.hang()

    assert ended["output"]["verdict"] == "captured", ended
    assert len(world.volumes_of(world.instance_id)) == 1
