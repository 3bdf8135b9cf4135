"""The Auto Scaling group that an instance of a run may belong to."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.simulator.world import World


def join(world: "World") -> None:
    """It is attached to a group with room for another beside it."""
    client, name = world.account.client("autoscaling"), f"group-of-{world.instance_id}"
    described = world.account.client("ec2").describe_instances(InstanceIds=[world.instance_id])["Reservations"][0]
    image = described["Instances"][0]["ImageId"]
    client.create_launch_configuration(LaunchConfigurationName=name, ImageId=image, InstanceType="t3.micro")
    client.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchConfigurationName=name,
        MinSize=0,
        MaxSize=3,
        DesiredCapacity=0,
        AvailabilityZones=[f"{world.account.region}a"],
    )
    client.attach_instances(AutoScalingGroupName=name, InstanceIds=[world.instance_id])


def in_standby(world: "World") -> list[str]:
    """The instance when its group keeps it out of service."""
    described = world.account.client("autoscaling").describe_auto_scaling_instances(InstanceIds=[world.instance_id])
    return [each["InstanceId"] for each in described["AutoScalingInstances"] if "Standby" in each["LifecycleState"]]
