"""What Auto Scaling says of an instance, and moving it into Standby and back. Owns no judgement and no record.

In Standby an instance belongs to its group, but is neither health-checked nor replaced nor scaled in, and gets no load.
"""

from dataclasses import dataclass
from typing import Any

from lambdas.runtime import clients

IN_SERVICE = "InService"
ENTERING_STANDBY = "EnteringStandby"
STANDBY = "Standby"


@dataclass(frozen=True)
class Membership:
    """The group that an instance belongs to, and its lifecycle state there (API_AutoScalingInstanceDetails)."""

    group: str
    lifecycle_state: str


def read_membership(instance_id: str) -> Membership | None:
    """None when the instance belongs to no group. Raises ClientError and BotoCoreError."""
    described = clients.autoscaling().describe_auto_scaling_instances(InstanceIds=[instance_id])["AutoScalingInstances"]
    return _membership(described[0]) if described else None


def enter_standby(instance_id: str, group: str) -> None:
    """Asked once: what an answer that got lost left behind is seen by read_membership.

    The desired capacity stays, so the group launches another in its place: whoever hangs serves nobody.
    """
    clients.autoscaling_without_retries().enter_standby(
        InstanceIds=[instance_id], AutoScalingGroupName=group, ShouldDecrementDesiredCapacity=False
    )


def exit_standby(instance_id: str, group: str) -> None:
    """Raises the group's desired capacity by one, which Auto Scaling refuses to a group that is at its maximum."""
    clients.autoscaling_without_retries().exit_standby(InstanceIds=[instance_id], AutoScalingGroupName=group)


def _membership(described: dict[str, Any]) -> Membership:
    return Membership(described["AutoScalingGroupName"], described["LifecycleState"])
