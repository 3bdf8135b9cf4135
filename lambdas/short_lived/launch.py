"""What a launch of a short-lived instance needs beside its image: the network, and the tags by which it is removed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lambdas.runtime.environment import RescueInstancePlace
from lambdas.runtime.errors import InstanceNotFound
from lambdas.runtime.tags import MADE_FOR_TAG, MAKER_TAG, STACK, STACK_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import TagTypeDef


def network_interface(
    network: Mapping[str, Any], instance_id: str, place: RescueInstancePlace, *, machine: str
) -> dict[str, Any]:
    """The network interface for RunInstances, from SubnetId, SecurityGroups and PublicIpAddress of the hung instance.

    Raises InstanceNotFound when no subnet is known; `machine` is the state machine to start again then.
    """
    subnet_id = place.rescue_instance_subnet_id or network.get("SubnetId", "")
    group_id = place.rescue_instance_security_group_id
    # The instance's groups belong to its VPC. A given subnet may be in another VPC: use that one's default.
    of_instance = [] if place.rescue_instance_subnet_id else network.get("SecurityGroups", [])
    groups = [group_id] if group_id else [group["GroupId"] for group in of_instance]
    if not subnet_id:
        raise InstanceNotFound(
            f"{instance_id} no longer exists, so its subnet is unknown: no instance can be launched there.",
            f"Set rescueInstanceSubnetId (and rescueInstanceSecurityGroupId), deploy, then start {machine} again.",
        )
    interface: dict[str, Any] = {"DeviceIndex": 0, "SubnetId": subnet_id, "DeleteOnTermination": True}
    if groups:
        interface["Groups"] = groups
    # Not every public subnet assigns public addresses; without one, Systems Manager and S3 cannot be reached.
    if not place.rescue_instance_subnet_id and network.get("PublicIpAddress"):
        interface["AssociatePublicIpAddress"] = True
    return interface


def marks(*, name: str, execution_name: str, instance_id: str, **more: str) -> "list[TagTypeDef]":
    """The tags of everything that an execution makes for an instance; `more` are further tags."""
    tags = {
        "Name": name,
        STACK_TAG: STACK,
        MAKER_TAG: execution_name,
        MADE_FOR_TAG: instance_id,
        **more,
    }
    return [{"Key": key, "Value": value} for key, value in tags.items()]
