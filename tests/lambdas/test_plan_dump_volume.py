"""The plan for an instance, and every reason for which there is none."""

import re
from typing import Any

import pytest

from lambdas import clients, plan_dump_volume
from lambdas.errors import (
    HangdumpError,
    InstanceNotEnrolled,
    InstanceNotFound,
    InstanceNotManaged,
    InstanceNotRunning,
    InsufficientMemory,
    InvalidInput,
    UnsupportedArchitecture,
    UnsupportedHypervisor,
    UnsupportedPlatform,
)
from lambdas.instance_facts import Instance
from lambdas.plan_dump_volume import provision_input
from ssm_documents.assemble import assemble
from tests.lambdas.account import Account
from tests.lambdas.conftest import Launch

EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:ProvisionDumpVolume:first"


def plan(context: Any, instance_id: str, execution: str = EXECUTION, **given: Any) -> dict[str, Any]:
    event = {
        "input": {"instanceId": instance_id} | given,
        "executionId": execution,
        "startTime": "2026-11-23T04:00:00.000Z",
    }
    return plan_dump_volume.handler(event, context)


def create_volume(instance_id: str, *, zone: str = "eu-west-1a", size: int = 9) -> str:
    """A dump volume of that instance, as an earlier execution left it."""
    created: str = clients.ec2().create_volume(
        AvailabilityZone=zone,
        Size=size,
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "hangdump:instance-id", "Value": instance_id}]}],
    )["VolumeId"]
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
    assert "volumeId" not in volume
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


def test_the_token_is_the_same_within_an_execution_and_another_in_the_next(launch: Launch, context: Any) -> None:
    instance_id = launch()
    first, again, other = (plan(context, instance_id, name)["volume"]["clientToken"] for name in ("a", "a", "b"))
    assert first == again != other
    assert len(first) <= 64
    assert first.isascii()


def test_every_parameter_of_the_documents_is_given_and_fits_its_pattern(launch: Launch, context: Any) -> None:
    planned = plan(context, launch(), panicSysctls={"softlockup_panic": 1, "kernel_panic": 30}, reboot=True)
    for document, key in (
        ("prepare_dump_volume", "prepareParameters"),
        ("configure_kdump", "configureParameters"),
        ("check_kdump", "checkParameters"),
    ):
        declared = assemble(document)["parameters"]
        assert set(planned[key]) <= set(declared), document
        for name, values in planned[key].items():
            (value,) = values
            assert re.fullmatch(declared[name]["allowedPattern"], value), f"{document}.{name} = {value}"
    configured = planned["configureParameters"]
    assert configured["softlockup_panic"] == ["1"]
    assert configured["kernel_panic"] == ["30"]
    assert configured["unknown_nmi_panic"] == ["1"], "the settings' values stay"
    assert configured["reboot"] == ["true"]
    assert planned["reboot"] is True


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("mountPoint", provision_input.MOUNT_POINT),
        ("crashkernel", provision_input.CRASHKERNEL),
        ("coreCollector", provision_input.CORE_COLLECTOR),
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        "/var/crash",
        "/",
        "/a/../b",
        "/a b",
        "auto",
        "256M",
        "1G-4G:192M,4G-:256M",
        "512M,high",
        "256M;reboot",
        "makedumpfile -l --message-level 7",
        "makedumpfile $(id)",
        "",
    ],
)
def test_the_input_allows_exactly_what_the_document_allows(name: str, pattern: str, value: str) -> None:
    allowed = assemble("configure_kdump")["parameters"][name]["allowedPattern"]
    assert bool(re.search(pattern, value)) == bool(re.search(allowed, value))


def test_the_settings_may_allow_reboots_that_the_input_forbids(
    launch: Launch, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOW_REBOOT", "true")
    instance_id = launch()
    assert plan(context, instance_id)["reboot"] is True
    forbidden = plan(context, instance_id, reboot=False)
    assert forbidden["reboot"] is False
    assert forbidden["configureParameters"]["reboot"] == ["false"]


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
        pytest.param("t4g.micro", ENROLLED, UnsupportedArchitecture, "Only x86_64", id="arm64"),
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
    monkeypatch.setattr(plan_dump_volume, "read_instance", lambda _: windows)
    with pytest.raises(UnsupportedPlatform, match="runs Windows"):
        plan(context, instance_id)


def test_refuses_a_size_that_no_volume_has(launch: Launch, context: Any) -> None:
    with pytest.raises(InvalidInput, match="volume of 76800 GiB; gp3 ends at 65536"):
        plan(context, launch(instance_type="r5.24xlarge"), dumpSizeFactor=100)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"instanceId": "web-1"}, "instanceId = 'web-1'", id="no-id"),
        pytest.param({"instanceId": None}, "instanceId = None", id="null"),
        pytest.param({}, "instanceId is missing", id="nothing"),
        pytest.param("i-0123456789abcdef0", "input = 'i-0123456789abcdef0'", id="text"),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "instance": 1},
            "instance = 1: no such key; allowed are instanceId, reboot, sizeGib",
            id="unknown-key",
        ),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "reboot": "true"}, "reboot = 'true': ", id="text-is-no-boolean"
        ),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "fileSystem": "btrfs"},
            "fileSystem = 'btrfs': Input should be 'xfs' or 'ext4'",
            id="file-system",
        ),
        pytest.param({"instanceId": "i-0123456789abcdef0", "dumpLevel": 32}, "dumpLevel = 32: ", id="dump-level"),
        pytest.param({"instanceId": "i-0123456789abcdef0", "sizeGib": 70_000}, "sizeGib = 70000: ", id="size"),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "panicSysctls": {"panic_on_fire": 1}},
            "panicSysctls.panic_on_fire = 1: no such key",
            id="sysctl",
        ),
        pytest.param(
            {"instanceId": "i-0123456789abcdef0", "panicSysctls": {"kernel_panic": 10_000}},
            "panicSysctls.kernel_panic = 10000: ",
            id="sysctl-value",
        ),
    ],
)
@pytest.mark.usefixtures("account")
def test_a_wrong_input_names_field_value_and_what_is_allowed(context: Any, given: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        plan_dump_volume.handler({"input": given, "executionId": EXECUTION, "startTime": ""}, context)
    assert said in str(raised.value)


def test_all_problems_of_an_input_are_told_at_once(account: Account, context: Any) -> None:
    with pytest.raises(InvalidInput) as raised:
        plan(context, "i-1", dumpLevel=99, finalAction="halt")
    for field in ("instanceId", "dumpLevel", "finalAction"):
        assert field in str(raised.value)
    assert account.calls == []
