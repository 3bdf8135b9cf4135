"""Asks Auto Scaling which of the instances that our incidents put in Standby are still there."""

from collections.abc import Iterable, Mapping

from lambdas.runtime import clients
from lambdas.sweep.found import IncidentFacts, InStandby
from lambdas.sweep.time_left import TimeLeft

# DescribeAutoScalingInstances takes up to 50 ids.
_IDS_A_CALL = 50


def find_in_standby(incidents: Mapping[str, IncidentFacts | None], time_left: TimeLeft) -> tuple[InStandby, ...]:
    """Of each instance the newest incident: incident ids begin with their time."""
    ours = {
        each.instance_id: each
        for _, each in sorted(incidents.items())
        if each is not None and each.auto_scaling_group and each.instance_id
    }
    wanted = sorted(ours)
    found = []
    for chunk in time_left.pages("instances in Standby", _chunks(wanted)):
        described = clients.autoscaling().describe_auto_scaling_instances(InstanceIds=chunk)
        for instance in described["AutoScalingInstances"]:
            if instance["LifecycleState"] == "Standby":
                incident = ours[instance["InstanceId"]]
                found.append(
                    InStandby(
                        instance_id=incident.instance_id,
                        incident_id=incident.incident_id,
                        auto_scaling_group=instance["AutoScalingGroupName"],
                    )
                )
    return tuple(found)


def _chunks(instance_ids: list[str]) -> Iterable[list[str]]:
    return (instance_ids[start : start + _IDS_A_CALL] for start in range(0, len(instance_ids), _IDS_A_CALL))
