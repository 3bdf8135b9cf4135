"""The plan for an instance, and every reason for which there is none."""

from typing import Any

import pytest

from lambdas.instance.facts import Instance
from lambdas.provision import check_instance
from lambdas.runtime import clients
from lambdas.runtime.errors import (
    HangdumpError,
    InstanceNotEnrolled,
    InstanceNotFound,
    InstanceNotManaged,
    InstanceNotRunning,
    InstanceTerminatesOnShutdown,
    InsufficientMemory,
    UnsupportedArchitecture,
    UnsupportedHypervisor,
    UnsupportedPlatform,
)
from tests.lambdas.account import TABLE, Account
from tests.lambdas.conftest import Launch
from tests.lambdas.provisioning import plan


def create_volume(
    instance_id: str, *, recorded_for: str | None = None, is_encrypted: bool = True, size: int = 9
) -> str:
    """A dump volume of that instance, as an earlier execution left it: tagged, encrypted and recorded."""
    tags = [{"Key": "hangdump:instance-id", "Value": instance_id}, {"Key": "hangdump:stack", "Value": "Hangdump"}]
    specifications: Any = [{"ResourceType": "volume", "Tags": tags}]
    created: str = clients.ec2().create_volume(
        AvailabilityZone="eu-west-1a", Size=size, Encrypted=is_encrypted, TagSpecifications=specifications
    )["VolumeId"]
    item = {"pk": {"S": f"dump-volume#{created}"}, "instanceId": {"S": recorded_for or instance_id}}
    clients.dynamodb().put_item(TableName=TABLE, Item=item)
    return created


@pytest.mark.usefixtures("account")
def test_plans_an_encrypted_home_for_twice_the_memory_and_at_least_8_gib(launch: Launch, context: Any) -> None:
    instance_id = launch()
    planned = plan(context, instance_id)
    assert planned["instanceId"] == instance_id
    assert planned["instanceType"] == "t3.micro"
    assert planned["availabilityZone"] == "eu-west-1a"
    assert planned["reboot"] is False
    volume = planned["volume"]
    assert (volume["action"], volume["sizeGib"], volume["device"]) == ("create", 8, "/dev/sdf")
    assert volume["volumeId"] == ""
    assert {tag["Key"]: tag["Value"] for tag in volume["tags"]} == {
        "Name": f"hangdump {instance_id}",
        "hangdump:instance-id": instance_id,
        "hangdump:stack": "Hangdump",
    }


@pytest.mark.parametrize(
    ("instance_type", "given", "size_gib"),
    [
        pytest.param("m5.large", {}, 16, id="factor-of-the-settings"),
        pytest.param("m5.large", {"dumpSizeFactor": 1.2}, 10, id="factor-of-the-input-rounded-up"),
        pytest.param("m5.large", {"dumpSizeFactor": 1}, 8, id="whole-factor"),
        pytest.param("m5.large", {"sizeGib": 5}, 5, id="size-of-the-input"),
    ],
)
def test_sizes_the_volume(
    launch: Launch, context: Any, instance_type: str, given: dict[str, Any], size_gib: int
) -> None:
    assert plan(context, launch(instance_type=instance_type), **given)["volume"]["sizeGib"] == size_gib


@pytest.mark.parametrize(
    ("given", "expected_gib", "size_gib"),
    [
        pytest.param({}, 5, 10, id="factor-of-the-settings"),
        pytest.param({"dumpSizeFactor": 1.5}, 7, 11, id="factor-of-the-input-rounded-up"),
        pytest.param({}, 0.5, 8, id="the-smallest-volume"),
        pytest.param({"instance_type": "m5.4xlarge"}, 1, 20, id="a-share-of-memory-for-what-comes-later"),
        pytest.param({"instance_type": "m5.4xlarge", "dumpLevel": 17}, 1, 64, id="all-memory-where-processes-are-kept"),
    ],
)
def test_sizes_the_volume_by_what_a_dump_would_keep(
    launch: Launch, context: Any, given: dict[str, Any], expected_gib: float, size_gib: int
) -> None:
    instance_id = launch(instance_type=given.pop("instance_type", "m5.large"))
    given["dumpVolumeSizing"] = "measured"
    assert plan(context, instance_id, **given)["volume"]["action"] == "measure"

    measured = {"expectedDumpBytes": int(expected_gib * 2**30)}
    volume = plan(context, instance_id, measured=measured, **given)["volume"]

    assert (volume["action"], volume["sizeGib"]) == ("create", size_gib)


def test_measures_nothing_for_a_size_of_the_input_or_a_volume_that_is_there(launch: Launch, context: Any) -> None:
    instance_id = launch()
    assert plan(context, instance_id, dumpVolumeSizing="measured", sizeGib=5)["volume"]["action"] == "create"
    create_volume(instance_id)
    assert plan(context, instance_id, dumpVolumeSizing="measured")["volume"]["action"] == "attach"


def test_the_token_is_the_same_within_an_execution_and_another_in_the_next(launch: Launch, context: Any) -> None:
    instance_id = launch()
    first, again, other = (plan(context, instance_id, name)["volume"]["clientToken"] for name in ("a", "a", "b"))
    assert first == again != other
    assert len(first) <= 64
    assert first.isascii()


def test_a_volume_that_is_attached_already_is_reused(launch: Launch, context: Any) -> None:
    instance_id = launch()
    volume_id = create_volume(instance_id)
    clients.ec2().attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdk")
    volume = plan(context, instance_id)["volume"]
    assert (volume["action"], volume["volumeId"], volume["device"]) == ("reuse", volume_id, "/dev/sdk")
    assert volume["sizeGib"] == 9, "its own size, not a planned one"


def test_a_volume_left_by_an_earlier_execution_is_attached(launch: Launch, context: Any) -> None:
    instance_id = launch()
    volume_id = create_volume(instance_id)
    volume = plan(context, instance_id)["volume"]
    assert (volume["action"], volume["volumeId"], volume["device"]) == ("attach", volume_id, "/dev/sdf")


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"recorded_for": "i-0fedcba9876543210"}, id="recorded-for-another-instance"),
        pytest.param({"recorded_for": "nobody"}, id="not-recorded"),
        pytest.param({"is_encrypted": False}, id="not-encrypted"),
        pytest.param({"size": 1}, id="too-small"),
    ],
)
def test_a_volume_that_somebody_tagged_is_not_taken(launch: Launch, context: Any, wrong: dict[str, Any]) -> None:
    instance_id = launch()
    create_volume(instance_id, **wrong)
    assert plan(context, instance_id)["volume"]["action"] == "create"


def test_a_volume_of_another_instance_is_left_alone(launch: Launch, context: Any) -> None:
    create_volume("i-0fedcba9876543210")
    assert plan(context, launch())["volume"]["action"] == "create"


ENROLLED = {"hangdump:enrolled": "true"}


@pytest.mark.parametrize(
    ("instance_type", "tags", "error", "advice"),
    [
        pytest.param("t3.micro", {}, InstanceNotEnrolled, "tag it", id="no-opt-in-tag"),
        pytest.param("t3.micro", {"hangdump:enrolled": "yes"}, InstanceNotEnrolled, "'yes'", id="opt-in-is-not-true"),
        pytest.param("t2.small", ENROLLED, UnsupportedHypervisor, "Change it to a Nitro type", id="xen"),
        pytest.param("mac1.metal", ENROLLED, UnsupportedArchitecture, "Only x86_64 and arm64", id="macos"),
        pytest.param("t3.nano", ENROLLED, InsufficientMemory, "512 MiB", id="half-a-gigabyte"),
    ],
)
def test_refuses_what_can_never_dump(
    launch: Launch,
    context: Any,
    instance_type: str,
    tags: dict[str, str],
    error: type[HangdumpError],
    advice: str,
) -> None:
    instance_id = launch(instance_type=instance_type, tags=tags)
    with pytest.raises(error) as raised:
        plan(context, instance_id)
    assert instance_id in str(raised.value)
    assert advice in str(raised.value)


@pytest.mark.usefixtures("account")
def test_refuses_an_instance_that_does_not_exist(context: Any) -> None:
    with pytest.raises(InstanceNotFound, match=r"i-0ffffffffffffffff in this account and Region\. Check the id"):
        plan(context, "i-0ffffffffffffffff")


def test_refuses_a_stopped_instance(launch: Launch, context: Any) -> None:
    instance_id = launch()
    clients.ec2().stop_instances(InstanceIds=[instance_id])
    with pytest.raises(InstanceNotRunning, match=r"is stopped\. Start it"):
        plan(context, instance_id)


def test_refuses_to_power_off_what_ec2_would_terminate_for_it(instance_id: str, context: Any) -> None:
    clients.ec2().modify_instance_attribute(
        InstanceId=instance_id, Attribute="instanceInitiatedShutdownBehavior", Value="terminate"
    )
    with pytest.raises(InstanceTerminatesOnShutdown, match=r"is terminate: .* or set finalAction reboot"):
        plan(context, instance_id, finalAction="poweroff")
    assert plan(context, instance_id)["volume"]["action"] == "create", "a reboot is no shutdown"


def test_powers_off_what_ec2_would_stop(instance_id: str, context: Any) -> None:
    planned = plan(context, instance_id, finalAction="poweroff")
    assert planned["configureParameters"]["finalAction"] == ["poweroff"]


@pytest.mark.parametrize(
    ("ping_status", "advice"),
    [
        (None, "Install and start the SSM agent"),
        ("ConnectionLost", "ConnectionLost, last ping"),
        ("Inactive", "Inactive"),
    ],
)
def test_refuses_what_systems_manager_does_not_reach(
    account: Account, instance_id: str, context: Any, ping_status: str | None, advice: str
) -> None:
    account.ping_status = ping_status
    with pytest.raises(InstanceNotManaged, match=advice):
        plan(context, instance_id)


def test_refuses_windows_by_what_the_agent_says(account: Account, instance_id: str, context: Any) -> None:
    account.platform_type = "Windows"
    with pytest.raises(UnsupportedPlatform, match="runs Windows"):
        plan(context, instance_id)


def test_refuses_windows_by_what_ec2_says(instance_id: str, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = Instance(
        instance_id=instance_id,
        state="running",
        instance_type="t3.micro",
        availability_zone="eu-west-1a",
        is_windows=True,
        tags=ENROLLED,
        device_names=(),
    )
    monkeypatch.setattr(check_instance, "read_instance", lambda _: windows)
    with pytest.raises(UnsupportedPlatform, match="runs Windows"):
        plan(context, instance_id)
