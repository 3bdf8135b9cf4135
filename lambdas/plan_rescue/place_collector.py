"""Where a collector is launched: beside the instance whose dump it reads, or where the settings say. Pure."""

from typing import TYPE_CHECKING, Any

from lambdas.runtime.environment import CollectorPlace
from lambdas.runtime.errors import InstanceNotFound

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef


def place_collector(instance: "InstanceTypeDef | None", instance_id: str, place: CollectorPlace) -> dict[str, Any]:
    """A network interface for RunInstances; raises InstanceNotFound when nobody says where."""
    subnet_id = place.collector_subnet_id or (instance or {}).get("SubnetId", "")
    groups = [place.collector_security_group_id] if place.collector_security_group_id else _groups_of(instance, place)
    if not subnet_id:
        raise InstanceNotFound(
            f"{instance_id} is gone, so there is no subnet to launch a collector beside it.",
            "Give the setting collectorSubnetId (and collectorSecurityGroupId), deploy, then start RescueVmcore again.",
        )
    interface: dict[str, Any] = {"DeviceIndex": 0, "SubnetId": subnet_id, "DeleteOnTermination": True}
    if groups:
        interface["Groups"] = groups
    # A public subnet does not always give addresses by itself; without one there is no way to Systems Manager and S3.
    if not place.collector_subnet_id and (instance or {}).get("PublicIpAddress"):
        interface["AssociatePublicIpAddress"] = True
    return interface


def _groups_of(instance: "InstanceTypeDef | None", place: CollectorPlace) -> list[str]:
    """Those of the instance belong to its own VPC; elsewhere the VPC's default one serves."""
    if instance is None or place.collector_subnet_id:
        return []
    return [group["GroupId"] for group in instance.get("SecurityGroups", [])]
