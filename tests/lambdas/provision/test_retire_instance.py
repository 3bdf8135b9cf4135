"""What retiring removes, and what it never removes."""

from typing import Any

import pytest

from lambdas.handlers import retire_instance
from lambdas.runtime import clients
from lambdas.runtime.errors import AwsUnavailable, InvalidInput
from tests.lambdas.account import Account
from tests.lambdas.conftest import Launch


def put_alarm(instance_id: str) -> None:
    clients.cloudwatch().put_metric_alarm(
        AlarmName=f"hangdump-{instance_id}",
        Namespace="AWS/EC2",
        MetricName="StatusCheckFailed_Instance",
        Dimensions=[{"Name": "InstanceId", "Value": instance_id}],
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=2,
        Period=60,
        Statistic="Maximum",
        Threshold=0,
    )


def alarms() -> list[str]:
    return [alarm["AlarmName"] for alarm in clients.cloudwatch().describe_alarms()["MetricAlarms"]]


def tags(instance_id: str) -> dict[str, str]:
    described = clients.ec2().describe_tags(Filters=[{"Name": "resource-id", "Values": [instance_id]}])
    return {tag["Key"]: tag["Value"] for tag in described["Tags"]}


def terminated(instance_id: str, state: str = "terminated") -> dict[str, Any]:
    return {
        "source": "aws.ec2",
        "detail-type": "EC2 Instance State-change Notification",
        "detail": {"instance-id": instance_id, "state": state},
    }


@pytest.mark.parametrize("event", [lambda each: {"instanceId": each}, terminated], ids=["by-hand", "by-event"])
def test_removes_the_alarm_and_the_mark_and_keeps_the_volumes(launch: Launch, context: Any, event: Any) -> None:
    instance_id, other = launch(), launch()
    put_alarm(instance_id)
    put_alarm(other)
    specification: Any = [{"ResourceType": "volume", "Tags": [{"Key": "hangdump:instance-id", "Value": instance_id}]}]
    volume = clients.ec2().create_volume(AvailabilityZone="eu-west-1a", Size=8, TagSpecifications=specification)
    retired = retire_instance.handler(event(instance_id), context)
    assert retired == {
        "instanceId": instance_id,
        "alarmDeleted": True,
        "snapshotDeleted": "",
        "volumes": [volume["VolumeId"]],
    }
    assert alarms() == [f"hangdump-{other}"]
    assert tags(instance_id) == {"hangdump:enrolled": "true"}
    assert "hangdump:ready" in tags(other)
    assert clients.ec2().describe_volumes(VolumeIds=[volume["VolumeId"]])["Volumes"][0]["State"] == "available"


def test_retiring_twice_is_harmless(launch: Launch, context: Any) -> None:
    instance_id = launch()
    put_alarm(instance_id)
    retire_instance.handler({"instanceId": instance_id}, context)
    assert retire_instance.handler({"instanceId": instance_id}, context)["alarmDeleted"] is False


def test_an_instance_that_ec2_has_forgotten_is_retired_all_the_same(account: Account, context: Any) -> None:
    account.fail("DeleteTags", "InvalidInstanceID.NotFound")
    put_alarm("i-0123456789abcdef0")
    assert retire_instance.handler(terminated("i-0123456789abcdef0"), context)["alarmDeleted"] is True


def test_an_instance_that_ec2_denies_and_lists_is_not_called_retired(
    account: Account, launch: Launch, context: Any
) -> None:
    instance_id = launch()
    account.fail("DeleteTags", "InvalidInstanceID.NotFound")
    with pytest.raises(AwsUnavailable, match="lists it"):
        retire_instance.handler({"instanceId": instance_id}, context)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"instanceId": "*"}, r"instanceId = '\*'"),
        ({}, "instanceId is missing"),
        (terminated("i-0123456789abcdef0", "stopped"), "is stopped, not terminated"),
    ],
)
def test_any_other_event_is_refused(account: Account, context: Any, event: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        retire_instance.handler(event, context)
    assert account.calls == []
