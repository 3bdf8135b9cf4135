"""plan_twin: from what a twin is launched, and what the record says of it; plan_analysis: which twin may read."""

from datetime import UTC, datetime
from typing import Any

import pytest
from moto.ec2.models import ec2_backends

from lambdas.analyze.twin import disk_for
from lambdas.handlers import plan_analysis, plan_twin
from lambdas.incident.record import timeline_entry
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.runtime import clients
from lambdas.runtime.errors import (
    AnalysisHostRefused,
    InstanceNotFound,
    InvalidInput,
    TwinImageUnavailable,
    UnsupportedArchitecture,
    VmcoreNotFound,
)
from lambdas.runtime.execution import client_token
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.endings import ID, INCIDENT, INTERRUPTED, PREFIX

EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:AnalyzeVmcore:by-hand"
NETWORK = {"SubnetId": "subnet-9", "SecurityGroups": [{"GroupId": "sg-9", "GroupName": "web"}]}


def register(architecture: str = "x86_64") -> str:
    """An image whose root has 15 GiB, as moto makes them. It forgets the architecture that it was told."""
    image_id: str = clients.ec2().register_image(Name="golden")["ImageId"]
    ec2_backends[aws.ACCOUNT_ID][aws.REGION].amis[image_id].architecture = architecture
    return image_id


@pytest.fixture
def image_id(account: Account) -> str:
    """An incident whose instance is gone; the record says from which image it was launched, and where it was."""
    image_id = register()
    origin = {"ImageId": image_id, "InstanceType": "m5.24xlarge", "Architecture": "x86_64"}
    create_incident(aws.TABLE, INTERRUPTED.model_copy(update={"launched_from": origin, "network": NETWORK}))
    account.bucket.PutObject({"Key": f"{PREFIX}vmcore", "Body": b"KDUMP   a dump"})
    return image_id


def plan(context: Any, **given: Any) -> dict[str, Any]:
    event = {"input": {"incidentId": INCIDENT, **given}, "executionId": EXECUTION, "executionName": "by-hand"}
    return plan_twin.handler(event, context)


def set_record(**fields: Any) -> None:
    IncidentTable(aws.TABLE).update(INCIDENT, fields)


def test_a_twin_has_the_image_and_the_network_that_the_record_names(context: Any, image_id: str) -> None:
    planned = plan(context)
    assert (planned["imageId"], planned["instanceType"]) == (image_id, "m5.large")
    assert (planned["networkInterface"]["SubnetId"], planned["networkInterface"]["Groups"]) == ("subnet-9", ["sg-9"])
    assert planned["clientToken"] == client_token(EXECUTION)
    for each in planned["tags"]:
        tags = {tag["Key"]: tag["Value"] for tag in each["Tags"]}
        assert (tags["hangdump:rescue"], tags["hangdump:incident"]) == ("by-hand", INCIDENT)
        assert (tags["hangdump:rescue-of"], tags["hangdump:stack"]) == (ID, "Hangdump")
        assert {"hangdump:instance-id", "hangdump:enrolled", "hangdump:analysis-host"}.isdisjoint(tags)
    assert [each["ResourceType"] for each in planned["tags"]] == ["instance", "volume"]


def test_its_root_is_encrypted_and_larger_than_the_images_by_dump_and_symbols(
    account: Account, context: Any, image_id: str
) -> None:
    (root,) = plan(context)["blockDevices"]
    assert root["DeviceName"] == "/dev/sda1"
    assert root["Ebs"] == {
        # 15 of the image, 1 for a small dump, 16 for its symbols.
        "VolumeSize": 32,
        "VolumeType": "gp3",
        "Encrypted": True,
        "DeleteOnTermination": True,
    }


def test_it_gets_no_other_volume_of_the_image() -> None:
    """They can be terabytes of the owner's data, with which the applications of the image would work."""
    mappings: Any = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30}}, {"DeviceName": "/dev/sdf"}]
    root, other = disk_for({"RootDeviceName": "/dev/xvda", "BlockDeviceMappings": mappings}, 1)
    assert (root["DeviceName"], root["Ebs"]["VolumeSize"]) == ("/dev/xvda", 47)
    assert other == {"DeviceName": "/dev/sdf", "NoDevice": ""}


def test_the_record_says_before_the_launch_which_execution_makes_the_twin(context: Any, image_id: str) -> None:
    plan(context)
    entry = read_record(INCIDENT).timeline[-1]
    assert (entry["event"], entry["detail"]) == ("analysis-opened", "by-hand")


def test_a_graviton_instance_has_a_graviton_twin(context: Any, image_id: str) -> None:
    set_record(launchedFrom={"ImageId": register("arm64")})
    assert plan(context)["instanceType"] == "m6g.large"


def test_an_image_of_another_architecture_is_named(context: Any, image_id: str) -> None:
    set_record(launchedFrom={"ImageId": register("i386")})
    with pytest.raises(UnsupportedArchitecture, match="i386"):
        plan(context)


def test_ec2_is_asked_about_an_instance_whose_record_is_older(
    account: Account, context: Any, image_id: str, instance_id: str
) -> None:
    instance = ec2_backends[aws.ACCOUNT_ID][aws.REGION].get_instance(instance_id)
    instance.image_id = register()
    set_record(launchedFrom={}, network={}, instanceId=instance_id)
    # The key holds the instance once, and the incident's name, which is as it was.
    key = f"vmcores/{aws.ACCOUNT_ID}/{aws.REGION}/{instance_id}/{INCIDENT}/vmcore"
    account.bucket.PutObject({"Key": key, "Body": b"KDUMP   a dump"})
    planned = plan(context)
    assert planned["imageId"] == instance.image_id
    assert planned["networkInterface"]["SubnetId"] == instance.subnet_id


@pytest.mark.parametrize("name", [{}, {"ImageId": "ami-0aaaaaaaaaaaaaaaa"}], ids=["not-known", "deregistered"])
def test_an_image_that_is_gone_is_named_with_what_to_do(context: Any, image_id: str, name: dict[str, str]) -> None:
    set_record(launchedFrom=name)
    with pytest.raises(TwinImageUnavailable, match="analysisInstanceId"):
        plan(context)
    assert "analysis-opened" not in str(read_record(INCIDENT).timeline)


def test_without_a_known_subnet_the_setting_is_named(context: Any, image_id: str) -> None:
    set_record(network={})
    with pytest.raises(InstanceNotFound, match=r"rescueInstanceSubnetId.*AnalyzeVmcore"):
        plan(context)


def test_an_incident_without_a_vmcore_has_no_twin(account: Account, context: Any, image_id: str) -> None:
    del account.bucket.objects[f"{PREFIX}vmcore"]
    account.bucket.PutObject({"Key": f"{PREFIX}vmcore-dmesg.txt", "Body": b"a log"})
    with pytest.raises(VmcoreNotFound):
        plan(context)


def test_an_execution_whose_name_the_record_cannot_hold_is_refused(context: Any, image_id: str) -> None:
    event = {"input": {"incidentId": INCIDENT}, "executionId": EXECUTION, "executionName": "a\u200bname"}
    with pytest.raises(InvalidInput, match="another name"):
        plan_twin.handler(event, context)


# ---- Which twin may read.


@pytest.fixture
def twin_id(context: Any, image_id: str) -> str:
    """The twin that this execution launched."""
    planned = plan(context)
    return launch(planned["tags"][:1], planned["clientToken"])


def launch(tags: Any, token: str) -> str:
    ec2: Any = clients.ec2()
    launched = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, TagSpecifications=tags, ClientToken=token
    )
    instance_id: str = launched["Instances"][0]["InstanceId"]
    return instance_id


def admit(context: Any, twin_id: str, execution: str = "by-hand") -> dict[str, Any]:
    arn = EXECUTION.replace("by-hand", execution)
    twin = {"instanceId": twin_id, "executionId": arn, "executionName": execution}
    return plan_analysis.handler({"input": {"incidentId": INCIDENT}, "twin": twin}, context)


def test_the_twin_that_this_execution_launched_may_read_the_vmcore(context: Any, twin_id: str) -> None:
    assert admit(context, twin_id)["analysisInstanceId"] == twin_id


def test_the_twin_of_another_execution_may_not(account: Account, context: Any, twin_id: str) -> None:
    with pytest.raises(AnalysisHostRefused, match="not launched by this execution"):
        admit(context, twin_id, execution="another")
    assert account.named("AssumeRole") == []


def test_an_instance_that_somebody_tagged_as_a_twin_may_not(context: Any, twin_id: str, instance_id: str) -> None:
    tags: Any = clients.ec2().describe_instances(InstanceIds=[twin_id])["Reservations"][0]["Instances"][0]["Tags"]
    clients.ec2().create_tags(Resources=[instance_id], Tags=tags)
    with pytest.raises(AnalysisHostRefused, match="not launched by this execution"):
        admit(context, instance_id)


def test_a_twin_that_no_record_confirms_may_not(context: Any, twin_id: str) -> None:
    opened = [timeline_entry(datetime(2999, 1, 1, tzinfo=UTC), "analysis-opened", "by-hand")]
    set_record(timeline=opened)
    with pytest.raises(AnalysisHostRefused, match="older"):
        admit(context, twin_id)
    set_record(timeline=[])
    with pytest.raises(AnalysisHostRefused, match="no incident says"):
        admit(context, twin_id)


def test_an_enrolled_instance_is_no_twin(context: Any, twin_id: str) -> None:
    clients.ec2().create_tags(Resources=[twin_id], Tags=[{"Key": "hangdump:enrolled", "Value": "true"}])
    with pytest.raises(AnalysisHostRefused, match="hangdump:enrolled"):
        admit(context, twin_id)


def test_input_without_a_host_and_without_a_twin_is_refused(context: Any, image_id: str) -> None:
    with pytest.raises(InvalidInput, match="analysisInstanceId"):
        plan_analysis.handler({"input": {"incidentId": INCIDENT}}, context)
