"""Reads from Auto Scaling which group an instance belongs to, and what the group does not do. Judges nothing."""

from dataclasses import dataclass

from lambdas.runtime import clients


@dataclass(frozen=True)
class Membership:
    """The group that an instance belongs to, and its lifecycle state there (API_AutoScalingInstanceDetails)."""

    group: str
    lifecycle_state: str


def read_membership(instance_id: str) -> Membership | None:
    """None when the instance belongs to no group. Raises ClientError, BotoCoreError."""
    described = clients.autoscaling().describe_auto_scaling_instances(InstanceIds=[instance_id])["AutoScalingInstances"]
    return Membership(described[0]["AutoScalingGroupName"], described[0]["LifecycleState"]) if described else None


def read_suspended_processes(group: str) -> frozenset[str]:
    """ReplaceUnhealthy, Launch, … (API_ProcessType); empty for a group that is gone."""
    described = clients.autoscaling().describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    return frozenset(each["ProcessName"] for found in described for each in found["SuspendedProcesses"])
