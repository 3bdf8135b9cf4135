"""ProvisionDumpVolume, interpreted from the synthesized template."""

import pytest

from tests.workflow.conftest import AddInstance, Stack
from tests.workflow.simulated_host import SimulatedHost


def test_makes_an_instance_ready_with_an_encrypted_volume_of_its_own(
    stack: Stack, host: SimulatedHost, instance_id: str
) -> None:
    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id, reboot=True)

    assert ended["output"]["status"] == "ready"
    (volume,) = stack.volumes_of(instance_id)
    assert volume["Encrypted"]
    assert volume["VolumeType"] == "gp3"
    assert volume["Size"] == 8
    assert [attachment["InstanceId"] for attachment in volume["Attachments"]] == [instance_id]
    assert "hangdump:ready" in stack.tags_of(instance_id)
    assert stack.alarms_of(instance_id) == [f"hangdump-{instance_id}"]
    assert host.machine.reboot_count == 1


def test_ends_in_reboot_required_and_reboots_nothing_unasked(
    stack: Stack, host: SimulatedHost, instance_id: str
) -> None:
    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id)

    assert ended["output"]["status"] == "reboot-required"
    assert host.machine.reboot_count == 0
    assert "hangdump:ready" not in stack.tags_of(instance_id)
    assert stack.alarms_of(instance_id) == []


def test_finishes_the_job_after_the_owners_own_reboot(stack: Stack, host: SimulatedHost, instance_id: str) -> None:
    stack.run("ProvisionDumpVolume", instanceId=instance_id)
    host.machine.reboot()

    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id)

    assert ended["output"]["status"] == "ready"
    assert host.machine.reboot_count == 1
    assert len(stack.volumes_of(instance_id)) == 1


def test_changes_nothing_on_a_ready_instance(stack: Stack, host: SimulatedHost, ready_instance_id: str) -> None:
    volumes = stack.volumes_of(ready_instance_id)

    ended = stack.run("ProvisionDumpVolume", instanceId=ready_instance_id, reboot=True)

    output = ended["output"]
    assert output["status"] == "ready"
    assert output["volumeAction"] == "reuse"
    assert stack.volumes_of(ready_instance_id) == volumes
    assert host.machine.reboot_count == 0


@pytest.mark.parametrize(
    ("properties", "error"),
    [
        pytest.param({"is_enrolled": False}, "InstanceNotEnrolled", id="no opt-in tag"),
        pytest.param({"instance_type": "t2.micro"}, "UnsupportedHypervisor", id="Xen"),
        pytest.param({"instance_type": "t3.nano"}, "InsufficientMemory", id="512 MB"),
        pytest.param({"in_ssm": False}, "InstanceNotManaged", id="not in SSM"),
        pytest.param({"platform_type": "Windows"}, "UnsupportedPlatform", id="Windows"),
    ],
)
def test_refuses_by_name_what_can_never_work(
    stack: Stack, add_instance: AddInstance, properties: dict[str, object], error: str
) -> None:
    refused = add_instance(**properties)

    ended = stack.run("ProvisionDumpVolume", instanceId=refused)

    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert refused in ended["cause"]
    assert stack.volumes_of(refused) == []


def test_refuses_an_instance_that_does_not_exist(stack: Stack) -> None:
    ended = stack.run("ProvisionDumpVolume", instanceId="i-0123456789abcdef0")

    assert (ended["status"], ended["error"]) == ("FAILED", "InstanceNotFound")


def test_refuses_a_stopped_instance(stack: Stack, instance_id: str) -> None:
    stack.account.client("ec2").stop_instances(InstanceIds=[instance_id])

    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "InstanceNotRunning")


def test_refuses_an_instance_without_a_free_device_name(stack: Stack, instance_id: str) -> None:
    ec2 = stack.account.client("ec2")
    zone = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]["Placement"][
        "AvailabilityZone"
    ]
    for letter in "fghijklmnop":
        volume = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
        ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
        ec2.attach_volume(InstanceId=instance_id, VolumeId=volume, Device=f"/dev/sd{letter}")

    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "NoFreeDeviceName")


def test_refuses_a_dump_volume_in_another_availability_zone(stack: Stack, instance_id: str) -> None:
    ec2 = stack.account.client("ec2")
    here = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]["Placement"][
        "AvailabilityZone"
    ]
    elsewhere = next(
        z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"] if z["ZoneName"] != here
    )
    tags = [{"Key": "hangdump:instance-id", "Value": instance_id}]
    ec2.create_volume(AvailabilityZone=elsewhere, Size=8, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}])

    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "DumpVolumeElsewhere")
    assert elsewhere in ended["cause"]


def test_names_the_field_the_value_and_what_is_allowed(stack: Stack, instance_id: str) -> None:
    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id, fileSystem="btrfs")

    assert ended["error"] == "InvalidInput"
    for expected in ("fileSystem", "btrfs", "xfs", "ext4"):
        assert expected in ended["cause"]


def test_removes_the_volume_that_it_made_and_could_not_use(stack: Stack, host: SimulatedHost, instance_id: str) -> None:
    host.fails_with["prepare_dump_volume"] = {"error": "DeviceHoldsData", "message": "It carries an ext4 signature."}

    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "DeviceHoldsData")
    assert "ext4 signature" in ended["cause"]
    assert stack.volumes_of(instance_id) == []
    assert host.machine.plugged_volume_ids() == []


def test_keeps_a_volume_that_is_in_use_when_a_later_step_fails(
    stack: Stack, host: SimulatedHost, instance_id: str
) -> None:
    host.fails_with["configure_kdump"] = {"error": "PackageUnavailable", "message": "No kdump-tools."}

    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id)

    assert ended["error"] == "PackageUnavailable"
    assert len(stack.volumes_of(instance_id)) == 1


def test_does_not_call_an_instance_ready_that_is_not(stack: Stack, host: SimulatedHost, instance_id: str) -> None:
    host.is_reserved = True
    host.findings = [{"code": "crash-kernel-not-loaded", "observed": "0", "remedy": "start kdump-tools"}]

    ended = stack.run("ProvisionDumpVolume", instanceId=instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "KdumpNotReady")
    assert "crash-kernel-not-loaded" in ended["cause"]
    assert "hangdump:ready" not in stack.tags_of(instance_id)


def test_lets_only_one_execution_work_on_an_instance(stack: Stack, host: SimulatedHost, instance_id: str) -> None:
    host.is_reserved = True
    first, second = (
        stack.account.start_execution("ProvisionDumpVolume", {"instanceId": instance_id}) for _ in range(2)
    )

    ended = [stack.account.wait_for_execution(each, timeout_seconds=120) for each in (first, second)]

    assert sorted(each["status"] for each in ended) == ["FAILED", "SUCCEEDED"]
    assert "ProvisioningInProgress" in [each.get("error") for each in ended]
    assert len(stack.volumes_of(instance_id)) == 1
