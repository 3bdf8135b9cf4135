"""Standby as Auto Scaling grants it, and the replacing of what is unhealthy."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.waiting import eventually


class Group:
    """A group of one instance, and room for as many as `maximum`."""

    def __init__(self, account: LabAccount, name: str, *, minimum: int, maximum: int) -> None:
        self.account, self.name = account, name
        self.client: Any = account.client("autoscaling")
        self.machine = ScriptedMachine()
        self.instance_id = account.add_instance(self.machine)
        image = account.client("ec2").describe_instances(InstanceIds=[self.instance_id])["Reservations"][0]
        self.client.create_launch_configuration(
            LaunchConfigurationName=name, ImageId=image["Instances"][0]["ImageId"], InstanceType="t3.micro"
        )
        self.client.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchConfigurationName=name,
            MinSize=0,
            MaxSize=maximum,
            DesiredCapacity=0,
            AvailabilityZones=[f"{account.region}a"],
        )
        self.client.attach_instances(AutoScalingGroupName=name, InstanceIds=[self.instance_id])
        self.client.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=minimum)

    def states(self) -> dict[str, str]:
        (group,) = self.client.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"]
        return {each["InstanceId"]: each["LifecycleState"] for each in group["Instances"]}

    def desired(self) -> int:
        (group,) = self.client.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"]
        return int(group["DesiredCapacity"])

    def enter(self, *, decrements: bool = False) -> None:
        self.client.enter_standby(
            AutoScalingGroupName=self.name, InstanceIds=[self.instance_id], ShouldDecrementDesiredCapacity=decrements
        )

    def leave(self) -> None:
        self.client.exit_standby(AutoScalingGroupName=self.name, InstanceIds=[self.instance_id])

    def is_in(self, state: str) -> bool:
        return self.states().get(self.instance_id) == state


MakeGroup = Callable[..., Group]


@pytest.fixture
def make_group(account: LabAccount, request: pytest.FixtureRequest) -> MakeGroup:
    def make(*, minimum: int = 1, maximum: int = 3) -> Group:
        return Group(account, request.node.name[:60], minimum=minimum, maximum=maximum)

    return make


def test_standby_is_entered_by_and_by_and_another_instance_takes_the_place(
    make_group: MakeGroup, unhurried: None
) -> None:
    group = make_group()
    group.enter()
    assert group.is_in("EnteringStandby")
    assert eventually(lambda: group.is_in("Standby"))
    others = {state for instance_id, state in group.states().items() if instance_id != group.instance_id}
    assert (others, group.desired()) == ({"InService"}, 1)


def test_what_comes_back_is_one_more(make_group: MakeGroup, unhurried: None) -> None:
    group = make_group()
    group.enter()
    assert eventually(lambda: group.is_in("Standby"))
    group.leave()
    assert group.is_in("Pending")
    assert eventually(lambda: group.is_in("InService"))
    assert (group.desired(), len(group.states())) == (2, 2)


@pytest.mark.parametrize(
    ("maximum", "minimum", "decrements", "said"),
    [
        pytest.param(1, 1, False, "above", id="back-into-a-group-at-its-maximum"),
        pytest.param(3, 1, True, "below", id="out-of-a-group-at-its-minimum"),
    ],
)
def test_the_size_of_the_group_is_kept(
    make_group: MakeGroup, maximum: int, minimum: int, decrements: bool, said: str
) -> None:
    group = make_group(maximum=maximum, minimum=minimum)

    def there_and_back() -> None:
        group.enter(decrements=decrements)
        assert eventually(lambda: group.is_in("Standby"))
        group.leave()

    with pytest.raises(ClientError, match=f"ValidationError.*{said}"):
        there_and_back()


def test_only_what_is_in_service_enters_and_only_what_is_in_standby_leaves(make_group: MakeGroup) -> None:
    group = make_group()
    with pytest.raises(ClientError, match=r"ValidationError.*not in Standby"):
        group.leave()
    group.enter()
    with pytest.raises(ClientError, match=r"ValidationError.*not in InService"):
        group.enter()
    assert eventually(lambda: group.is_in("Standby"))


def test_what_hangs_in_service_is_replaced_and_what_hangs_in_standby_is_not(
    account: LabAccount, make_group: MakeGroup
) -> None:
    group = make_group()
    group.enter()
    assert eventually(lambda: group.is_in("Standby"))
    account.computer(group.instance_id).instance_check = "impaired"
    assert account.replace_unhealthy_instances() == []
    group.leave()
    assert eventually(lambda: group.is_in("InService"))
    account.computer(group.instance_id).instance_check = "impaired"
    assert account.replace_unhealthy_instances() == [group.instance_id]
    assert group.instance_id not in group.states()
