"""ProvisionDumpVolume: what it makes, what it leaves, and what it says."""

from typing import Any

import pytest

from lab.aws.iam.account_facts import CENTRAL_ACCOUNT, Variant
from lab.simulator.injection import Fault, Site
from lab.simulator.scheduler import scheduler
from lab.simulator.world import World


def test_makes_an_instance_ready_with_an_encrypted_volume_of_its_own(world: World) -> None:
    host, instance_id = world.add_host()

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id, reboot=True)

    assert ended["output"]["status"] == "ready"
    (volume,) = world.volumes_of(instance_id)
    assert (volume["Encrypted"], volume["VolumeType"], volume["Size"]) == (True, "gp3", 8)
    assert [attachment["InstanceId"] for attachment in volume["Attachments"]] == [instance_id]
    assert "hangdump:ready" in world.tags_of(instance_id)
    assert world.alarms_of(instance_id) == [f"hangdump-{instance_id}"]
    assert host.reboots == 1


def test_a_measured_volume_has_room_for_twice_what_a_dump_would_keep(world: World) -> None:
    host, instance_id = world.add_host()

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id, reboot=True, dumpVolumeSizing="measured")

    assert (ended["output"]["status"], ended["output"]["volumeAction"]) == ("ready", "create")
    assert [volume["Size"] for volume in world.volumes_of(instance_id)] == [12]
    assert host.documents_run.count("measure_dump") == 1


def test_an_instance_that_cannot_be_measured_keeps_no_volume(world: World) -> None:
    host, instance_id = world.add_host()
    host.fails_with["measure_dump"] = {"error": "ConfigurationFailed", "message": "There is no /proc/meminfo."}

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id, dumpVolumeSizing="measured")

    assert (ended["status"], ended["error"]) == ("FAILED", "ConfigurationFailed")
    assert world.volumes_of(instance_id) == []


def test_ends_in_reboot_required_and_reboots_nothing_unasked(world: World) -> None:
    host, instance_id = world.add_host()

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id)

    assert ended["output"]["status"] == "reboot-required"
    assert host.reboots == 0
    assert "hangdump:ready" not in world.tags_of(instance_id)
    assert world.alarms_of(instance_id) == []


def test_finishes_the_job_after_the_owners_own_reboot(world: World) -> None:
    host, instance_id = world.add_host()
    world.run("ProvisionDumpVolume", instanceId=instance_id)
    host.reboot()

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id)

    assert ended["output"]["status"] == "ready"
    assert host.reboots == 1
    assert len(world.volumes_of(instance_id)) == 1


def test_changes_nothing_on_a_ready_instance(world: World) -> None:
    volumes = world.volumes_of(world.instance_id)

    ended = world.run("ProvisionDumpVolume", instanceId=world.instance_id, reboot=True)

    assert (ended["output"]["status"], ended["output"]["volumeAction"]) == ("ready", "reuse")
    assert world.volumes_of(world.instance_id) == volumes
    assert world.host.reboots == 0


@pytest.mark.parametrize(
    ("instance", "more", "error", "named"),
    [
        pytest.param({"instance_type": "t3.nano"}, {}, "InsufficientMemory", "512 MiB", id="an-instance"),
        pytest.param({"in_ssm": False}, {}, "InstanceNotManaged", "Systems Manager", id="a-moment"),
        pytest.param({}, {"fileSystem": "btrfs"}, "InvalidInput", "fileSystem = 'btrfs'", id="an-input"),
    ],
)
def test_refuses_by_name_and_creates_nothing(
    world: World, instance: dict[str, Any], more: dict[str, str], error: str, named: str
) -> None:
    _, instance_id = world.add_host(**instance)

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id, **more)

    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert named in ended["cause"]
    assert world.volumes_of(instance_id) == []


def test_what_was_stopped_in_a_call_without_an_answer_stays_aborted(world: World) -> None:
    _, instance_id = world.add_host(is_reserved=True)
    unanswered = Site("ProvisionDumpVolume / Create dump volume", "ec2:CreateVolume")
    world.injection.begin([Fault(unanswered, "slow")])
    execution = world.start("ProvisionDumpVolume", instanceId=instance_id)
    scheduler.run(until=lambda: unanswered in world.injection.seen, seconds=600)

    world.account.client("stepfunctions").stop_execution(executionArn=execution.exec_arn)
    world.settle()

    assert (execution.status, execution.error or "") == ("ABORTED", "")


def test_removes_the_volume_that_it_made_and_could_not_use(world: World) -> None:
    host, instance_id = world.add_host()
    host.fails_with["prepare_dump_volume"] = {"error": "DeviceHoldsData", "message": "It carries an ext4 signature."}

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "DeviceHoldsData")
    assert "ext4 signature" in ended["cause"]
    assert world.volumes_of(instance_id) == []
    assert host.plugged == {}


def test_explains_a_volume_that_disappears_because_its_key_lets_nobody_in(world: World) -> None:
    """EC2 answers CreateVolume before it uses the key of another account."""
    closed = Variant("closed key", ebs_key_account=CENTRAL_ACCOUNT, is_ebs_key_open=False)
    world.permissions.move_to(closed)
    _, instance_id = world.add_host()

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "DumpVolumeBroken")
    assert "disappeared" in ended["cause"]
    assert "key policy" in ended["cause"]
    assert "could not be removed" not in ended["cause"]
    assert world.volumes_of(instance_id) == []


def test_keeps_a_volume_that_is_in_use_when_a_later_step_fails(world: World) -> None:
    host, instance_id = world.add_host()
    host.fails_with["configure_kdump"] = {"error": "PackageUnavailable", "message": "No kdump-tools."}

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id)

    assert ended["error"] == "PackageUnavailable"
    assert len(world.volumes_of(instance_id)) == 1


def test_does_not_call_an_instance_ready_that_is_not(world: World) -> None:
    host, instance_id = world.add_host(is_reserved=True)
    host.is_ready = False

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "KdumpNotReady")
    assert "crash-kernel-not-loaded" in ended["cause"]
    assert "hangdump:ready" not in world.tags_of(instance_id)


def test_lets_only_one_execution_work_on_an_instance(world: World) -> None:
    _, instance_id = world.add_host(is_reserved=True)

    both = [world.start("ProvisionDumpVolume", instanceId=instance_id) for _ in range(2)]
    world.settle()

    assert sorted(each.status for each in both) == ["FAILED", "SUCCEEDED"]
    assert "ProvisioningInProgress" in [each.error for each in both]
    assert len(world.volumes_of(instance_id)) == 1


def test_makes_graviton_ready_and_says_that_nothing_can_interrupt_it(world: World) -> None:
    _, instance_id = world.add_host(is_reserved=True, instance_type="t4g.micro", architecture="arm64")

    ended = world.run("ProvisionDumpVolume", instanceId=instance_id)

    assert ended["output"]["status"] == "ready"
    assert ended["output"]["diagnosticInterrupt"]["status"] == "unsupported"
    assert "softlockup_panic, panic_on_oops" in ended["output"]["diagnosticInterrupt"]["detail"]
    assert "hangdump:ready" in world.tags_of(instance_id)
    # Its alarm can only be refused, but then somebody hears of the hang and of what can be done.
    assert world.alarms_of(instance_id) == [f"hangdump-{instance_id}"]


def test_retiring_removes_the_alarm_and_the_mark(world: World) -> None:
    retired = world.account.invoke("Hangdump-retire_instance", {"instanceId": world.instance_id})

    assert retired["alarmDeleted"]
    assert world.alarms_of(world.instance_id) == []
    assert "hangdump:ready" not in world.tags_of(world.instance_id)
