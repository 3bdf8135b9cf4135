"""The Auto Scaling group that the instance of a run may belong to."""

from typing import TYPE_CHECKING, Any

from lambdas.runtime.tags import ENROLLED_TAG

if TYPE_CHECKING:
    from lab.simulator.world import World


OPT_IN = {"Key": ENROLLED_TAG, "Value": "true", "PropagateAtLaunch": True}


def join(world: "World", *, maximum: int = 3) -> None:
    """The instance is attached to a group of its own; another may run beside it."""
    client, name = _client(world), name_of(world)
    described = world.account.client("ec2").describe_instances(InstanceIds=[world.instance_id])["Reservations"][0]
    image = described["Instances"][0]["ImageId"]
    client.create_launch_configuration(LaunchConfigurationName=name, ImageId=image, InstanceType="t3.micro")
    client.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchConfigurationName=name,
        MinSize=0,
        MaxSize=maximum,
        DesiredCapacity=0,
        AvailabilityZones=[f"{world.account.region}a"],
        # The owner's opt-in for the group itself.
        Tags=[{"ResourceId": name, "ResourceType": "auto-scaling-group", **OPT_IN}],
    )
    client.attach_instances(AutoScalingGroupName=name, InstanceIds=[world.instance_id])


def drain_for(world: "World", seconds: int) -> None:
    """A load balancer before the group lets open connections go on for so long."""
    elb, vpcs = world.account.client("elbv2"), world.account.client("ec2").describe_vpcs()["Vpcs"]
    created = elb.create_target_group(Name=world.instance_id, Protocol="HTTP", Port=80, VpcId=vpcs[0]["VpcId"])
    arn = created["TargetGroups"][0]["TargetGroupArn"]
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}
    elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    _client(world).attach_load_balancer_target_groups(AutoScalingGroupName=name_of(world), TargetGroupARNs=[arn])


def lifecycle_state(world: "World") -> str:
    """Of the instance; "" when it belongs to no group."""
    described = _client(world).describe_auto_scaling_instances(InstanceIds=[world.instance_id])["AutoScalingInstances"]
    return str(described[0]["LifecycleState"]) if described else ""


def size(world: "World") -> tuple[int, int]:
    """Desired capacity, and the number of instances, those in Standby too."""
    (group,) = _client(world).describe_auto_scaling_groups(AutoScalingGroupNames=[name_of(world)])["AutoScalingGroups"]
    return group["DesiredCapacity"], len(group["Instances"])


def name_of(world: "World") -> str:
    return f"group-of-{world.instance_id}"


def _client(world: "World") -> Any:
    return world.account.client("autoscaling")
