"""Which volume a rescue copies, and where its collector goes."""

from dataclasses import replace
from typing import Any

import pytest

from lambdas.handlers import open_rescue, plan_rescue
from lambdas.incident.record import Incident, State, Verdict
from lambdas.incident.table import create_incident
from lambdas.provision.choose_volume import DumpVolume
from lambdas.rescue.plan import choose_source
from lambdas.runtime import clients
from lambdas.runtime.environment import RescueInstancePlace
from lambdas.runtime.errors import InstanceNotEnrolled, InstanceNotFound, InvalidInput, NoDumpVolume, SeveralDumpVolumes
from lambdas.short_lived.launch import network_interface
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record

ID = "i-0123456789abcdef0"
LOOSE = DumpVolume(
    volume_id="vol-2",
    state="available",
    availability_zone=f"{aws.REGION}a",
    size_gib=8,
    is_encrypted=True,
    is_ours=True,
)
MINE = replace(LOOSE, volume_id="vol-1", state="in-use", attached_to=ID)
ELSEWHERE = replace(LOOSE, volume_id="vol-3", state="in-use", attached_to="i-another")
FORGED = replace(LOOSE, volume_id="vol-0", is_ours=False)


def _place(subnet_id: str, group_id: str) -> RescueInstancePlace:
    variables = {"RESCUE_INSTANCE_SUBNET_ID": subnet_id, "RESCUE_INSTANCE_SECURITY_GROUP_ID": group_id}
    return RescueInstancePlace.model_validate(variables)


def place_rescue_instance(network: Any, instance_id: str, place: RescueInstancePlace) -> dict[str, Any]:
    return network_interface(network, instance_id, place, machine="RescueVmcore")


BESIDE = _place("", "")
THERE = _place("subnet-1", "sg-1")
INSTANCE: Any = {"SubnetId": "subnet-9", "SecurityGroups": [{"GroupId": "sg-9", "GroupName": "web"}]}
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:RescueVmcore:by-hand"


@pytest.mark.parametrize(
    ("volumes", "chosen"),
    [
        pytest.param([LOOSE, MINE], "vol-1", id="the attached one"),
        pytest.param([LOOSE], "vol-2", id="the only one, detached"),
        pytest.param([ELSEWHERE], "vol-3", id="one that was moved to another instance"),
        pytest.param([FORGED, LOOSE], "vol-2", id="not one that somebody tagged"),
        pytest.param([replace(FORGED, attached_to=ID), LOOSE], "vol-2", id="not one that somebody attached and tagged"),
    ],
)
def test_copies_the_volume_that_the_instance_has_or_had(volumes: list[DumpVolume], chosen: str) -> None:
    assert choose_source(ID, volumes).volume_id == chosen


@pytest.mark.parametrize(
    ("volumes", "error"),
    [
        pytest.param([], NoDumpVolume, id="none"),
        pytest.param([FORGED], NoDumpVolume, id="one that somebody tagged"),
        pytest.param([replace(LOOSE, state="deleting")], NoDumpVolume, id="one that is going"),
        pytest.param([LOOSE, ELSEWHERE], SeveralDumpVolumes, id="two, none of them attached"),
    ],
)
def test_copies_nothing_when_in_doubt(volumes: list[DumpVolume], error: type[Exception]) -> None:
    with pytest.raises(error):
        choose_source(ID, volumes)


def test_the_collector_goes_beside_the_instance() -> None:
    interface = {"DeviceIndex": 0, "DeleteOnTermination": True, "SubnetId": "subnet-9", "Groups": ["sg-9"]}
    assert place_rescue_instance(INSTANCE, ID, BESIDE) == interface
    public = place_rescue_instance(INSTANCE | {"PublicIpAddress": "192.0.2.1"}, ID, BESIDE)
    assert public == interface | {"AssociatePublicIpAddress": True}


def test_the_collector_goes_where_the_settings_say() -> None:
    place = place_rescue_instance(INSTANCE | {"PublicIpAddress": "192.0.2.1"}, ID, THERE)
    assert place == {"DeviceIndex": 0, "DeleteOnTermination": True, "SubnetId": "subnet-1", "Groups": ["sg-1"]}
    # The groups of the instance are of its own network.
    elsewhere = _place("subnet-1", "")
    assert "Groups" not in place_rescue_instance(INSTANCE, ID, elsewhere)


def test_nobody_knows_where_when_the_instance_is_gone() -> None:
    with pytest.raises(InstanceNotFound, match="rescueInstanceSubnetId"):
        place_rescue_instance({}, ID, BESIDE)
    assert place_rescue_instance({}, ID, THERE)["SubnetId"] == "subnet-1"


def _volume(instance_id: str, *, is_recorded: bool = True) -> str:
    """A volume with the tags of the instance's dump volume; with the record too, ProvisionDumpVolume has created it."""
    volume_id: str = clients.ec2().create_volume(AvailabilityZone=f"{aws.REGION}a", Size=8)["VolumeId"]
    tags = {"hangdump:instance-id": instance_id, "hangdump:stack": "Hangdump"}
    clients.ec2().create_tags(Resources=[volume_id], Tags=[{"Key": key, "Value": tags[key]} for key in tags])
    if is_recorded:
        item = {"pk": {"S": f"dump-volume#{volume_id}"}, "instanceId": {"S": instance_id}}
        clients.dynamodb().put_item(TableName=aws.TABLE, Item=item)
    return volume_id


def _volume_of(instance_id: str) -> str:
    volume_id = _volume(instance_id)
    clients.ec2().attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    return volume_id


def _plan(context: Any, instance_id: str, **record: Any) -> dict[str, Any]:
    known = Incident(incident_id="an-incident", instance_id=instance_id, **record)
    create_incident(aws.TABLE, known)
    incident = {"instanceId": "i-what-the-event-says", "incidentId": "an-incident"}
    event = {"incident": incident, "executionId": EXECUTION, "executionName": "by-hand"}
    return plan_rescue.handler(event, context)


def test_everything_is_marked_with_whose_rescue_it_is(account: Account, instance_id: str, context: Any) -> None:
    volume_id = _volume_of(instance_id)

    plan = _plan(context, instance_id)

    assert plan["volumeId"] == volume_id
    kinds = [each["ResourceType"] for each in plan["copyTags"] + plan["collectorTags"]]
    assert kinds == ["snapshot", "instance", "volume"]
    for each in plan["copyTags"] + plan["collectorTags"]:
        tags = {tag["Key"]: tag["Value"] for tag in each["Tags"]}
        assert tags["hangdump:rescue"] == "by-hand"
        assert tags["hangdump:incident"] == "an-incident"
        assert tags["hangdump:rescue-of"] == instance_id
        assert tags["hangdump:copy-of"] == volume_id
        assert tags["hangdump:stack"] == "Hangdump"
        # ProvisionDumpVolume would take the copy for a dump volume.
        assert "hangdump:instance-id" not in tags
    assert len(plan["clientToken"]) <= 64


def test_a_terminated_instance_is_rescued_in_the_network_that_its_incident_recorded(
    account: Account, context: Any
) -> None:
    _volume(ID)
    network = {"SubnetId": "subnet-0a", "SecurityGroups": [{"GroupId": "sg-0b"}], "PublicIpAddress": "192.0.2.7"}

    assert _plan(context, ID, network=network)["networkInterface"] == {
        "DeviceIndex": 0,
        "SubnetId": "subnet-0a",
        "DeleteOnTermination": True,
        "Groups": ["sg-0b"],
        "AssociatePublicIpAddress": True,
    }


def test_a_volume_that_somebody_tagged_neither_blocks_the_rescue_nor_takes_the_place_of_the_real_one(
    account: Account, context: Any
) -> None:
    network = {"SubnetId": "subnet-0a"}
    real, _forged = _volume(ID), _volume(ID, is_recorded=False)
    assert _plan(context, ID, network=network)["volumeId"] == real

    clients.ec2().delete_volume(VolumeId=real)
    with pytest.raises(NoDumpVolume):
        _plan(context, ID, network=network)


def test_the_record_says_whose_volume_is_copied_not_the_event(account: Account, context: Any) -> None:
    own, _other = _volume(ID), _volume("i-what-the-event-says")
    plan = _plan(context, ID, network={"SubnetId": "subnet-0a"})
    assert (plan["volumeId"], plan["description"]) == (own, f"Hangdump: rescue of the vmcore of {ID}")

    unknown = {"incident": {"instanceId": ID, "incidentId": "nowhere"}, "executionId": EXECUTION, "executionName": "x"}
    with pytest.raises(InvalidInput, match="nowhere"):
        plan_rescue.handler(unknown, context)


def test_an_instance_whose_owner_has_not_agreed_is_not_copied(account: Account, launch: Any, context: Any) -> None:
    instance_id = launch(tags={"hangdump:enrolled": "yes"})
    _volume_of(instance_id)

    with pytest.raises(InstanceNotEnrolled):
        _plan(context, instance_id)


def _open(context: Any, **given: Any) -> dict[str, Any]:
    start = {"executionId": EXECUTION, "executionName": "by-hand", "startTime": "2026-11-23T04:00:10.123Z"}
    return open_rescue.handler({"input": given, **start}, context)


KNOWN = Incident(
    incident_id=f"20261123T040000Z-{ID}",
    instance_id=ID,
    account_id=aws.ACCOUNT_ID,
    region=aws.REGION,
    origin="alarm",
    state=State.INTERRUPTED,
    interrupted_epoch=1_000_000,
)


def test_the_rescue_of_an_incident_takes_only_what_its_crash_wrote(account: Account, context: Any) -> None:
    create_incident(aws.TABLE, KNOWN)

    opened = _open(context, incidentId=KNOWN.incident_id, reason="It is off.")

    assert (opened["instanceId"], opened["since"], opened["isCrashExpected"]) == (ID, str(KNOWN.since_epoch), True)
    record = read_record(KNOWN.incident_id)
    assert record.execution_name == "by-hand"
    assert record.timeline[-1]["detail"] == "It is off."


def test_the_rescue_of_an_instance_takes_any_vmcore_and_is_opened_once(account: Account, context: Any) -> None:
    opened = _open(context, instanceId=ID)

    assert (opened["since"], opened["isCrashExpected"]) == ("none", False)
    assert _open(context, instanceId=ID) == opened


@pytest.mark.parametrize(
    "known",
    [
        KNOWN.model_copy(update={"verdict": Verdict.CAPTURED}),
        KNOWN.model_copy(update={"verdict": Verdict.RESCUED}),
        KNOWN.model_copy(update={"state": State.REFUSED, "interrupted_epoch": None}),
        KNOWN.model_copy(update={"instance_id": "i-0000000000000000f"}),
    ],
    ids=["captured", "rescued", "never interrupted", "of another instance"],
)
def test_what_needs_no_rescue_is_refused_by_name(account: Account, context: Any, known: Incident) -> None:
    create_incident(aws.TABLE, known)

    with pytest.raises(InvalidInput, match=r"i-0123456789abcdef0|that instance"):
        _open(context, incidentId=KNOWN.incident_id, instanceId=ID)
