"""An instance of an Auto Scaling group, from the interrupt to its return, by the synthesized state machine."""

from collections.abc import Callable
from typing import Any

import pytest

from lab.guest.deadline import wait_until
from lab.machines.scripted_machine import ScriptedMachine
from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost
from tests.workflow.test_collect_vmcore import incident_record

_DRAINS = "deregistration_delay.timeout_seconds"


class Group:
    """The group that an instance was attached to."""

    def __init__(self, stack: Stack, instance_id: str, *, maximum: int) -> None:
        self.stack, self.instance_id, self.name = stack, instance_id, f"group-of-{instance_id}"
        self.client: Any = stack.account.client("autoscaling")
        described = stack.account.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"][0]
        self.client.create_launch_configuration(
            LaunchConfigurationName=self.name, ImageId=described["Instances"][0]["ImageId"], InstanceType="t3.micro"
        )
        self.client.create_auto_scaling_group(
            AutoScalingGroupName=self.name,
            LaunchConfigurationName=self.name,
            MinSize=0,
            MaxSize=maximum,
            DesiredCapacity=0,
            AvailabilityZones=[f"{stack.account.region}a"],
        )
        self.client.attach_instances(AutoScalingGroupName=self.name, InstanceIds=[instance_id])

    def state(self) -> str:
        described = self.client.describe_auto_scaling_instances(InstanceIds=[self.instance_id])["AutoScalingInstances"]
        return described[0]["LifecycleState"] if described else ""

    def size(self) -> tuple[int, int]:
        """Desired capacity, and how many there are."""
        (group,) = self.client.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])["AutoScalingGroups"]
        return group["DesiredCapacity"], len(group["Instances"])

    def drains_for(self, seconds: int) -> None:
        """A load balancer that lets open connections go on for so long."""
        elb = self.stack.account.client("elbv2")
        vpc = self.stack.account.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
        arn = elb.create_target_group(Name=self.instance_id, Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0][
            "TargetGroupArn"
        ]
        elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[{"Key": _DRAINS, "Value": str(seconds)}])
        self.client.attach_load_balancer_target_groups(AutoScalingGroupName=self.name, TargetGroupARNs=[arn])

    def wait_until_in_service(self) -> None:
        wait_until(lambda: self.state() == "InService", what=f"{self.instance_id} is InService", timeout_seconds=60)


MakeGroup = Callable[..., Group]


@pytest.fixture
def make_group(stack: Stack, ready_instance_id: str) -> MakeGroup:
    return lambda maximum=3: Group(stack, ready_instance_id, maximum=maximum)


def test_an_instance_is_not_replaced_while_it_dumps_and_comes_back_after(
    stack: Stack, host: SimulatedHost, ready_instance_id: str, make_group: MakeGroup
) -> None:
    group = make_group()
    seen = []
    panic = host.machine.on_nmi
    assert panic is not None

    def panic_while_the_group_looks(machine: ScriptedMachine) -> None:
        stack.account.computer(ready_instance_id).instance_check = "impaired"
        seen.append((group.state(), stack.account.replace_unhealthy_instances(), group.size()))
        panic(machine)

    host.machine.on_nmi = panic_while_the_group_looks

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert ended["output"]["verdict"] == "captured"
    # Another instance serves meanwhile.
    assert seen == [("Standby", [], (1, 2))]
    group.wait_until_in_service()
    assert group.size() == (2, 2)
    assert host.machine.nmi_count == 1


@pytest.mark.parametrize("failure", ["no-panic", "panic-no-dump"])
def test_an_instance_comes_back_when_its_dump_failed(
    stack: Stack, host: SimulatedHost, ready_instance_id: str, make_group: MakeGroup, failure: str
) -> None:
    group = make_group()
    host.panics_on_nmi = failure != "no-panic"
    host.writes_dump = False

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", failure)
    group.wait_until_in_service()


def test_an_instance_that_its_group_has_no_room_for_is_told_of(
    stack: Stack, host: SimulatedHost, ready_instance_id: str, make_group: MakeGroup
) -> None:
    group = make_group(maximum=1)

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert ended["output"]["verdict"] == "captured"
    assert group.state() == "Standby"
    subjects = [each.subject for each in stack.account.notifications]
    assert f"Hangdump: {ready_instance_id} is left in Standby" in subjects
    assert incident_record(stack, ended["output"]["incidentId"])["autoScalingGroup"]["S"] == group.name


def test_a_group_that_drains_for_too_long_has_its_instance_back_and_not_interrupted(
    stack: Stack, host: SimulatedHost, ready_instance_id: str, make_group: MakeGroup
) -> None:
    """The stack waits 10 s for Standby; in the account's time this group needs 14."""
    group = make_group()
    group.drains_for(700)
    host.machine.hang()

    subject = f"Hangdump: refused (standby-unavailable) {ready_instance_id}"
    wait_until(
        lambda: subject in [each.subject for each in stack.account.notifications], what=subject, timeout_seconds=90
    )

    assert host.machine.nmi_count == 0
    group.wait_until_in_service()
