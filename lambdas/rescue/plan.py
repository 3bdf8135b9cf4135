"""Chooses the volume that a rescue copies, and the network and tags of the rescue instance."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lambdas.provision.choose_volume import DumpVolume
from lambdas.runtime import clients
from lambdas.runtime.environment import RescueInstancePlace
from lambdas.runtime.errors import InstanceNotFound, NoDumpVolume, SeveralDumpVolumes
from lambdas.runtime.tags import (
    COPIED_VOLUME_TAG,
    INCIDENT_TAG,
    OWNER_TAG,
    RESCUE_EXECUTION_TAG,
    RESCUED_INSTANCE_TAG,
    STACK,
    STACK_TAG,
)

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, TagTypeDef

_GONE = ("creating", "deleting", "deleted", "error")


def choose_source(instance_id: str, volumes: Sequence[DumpVolume]) -> DumpVolume:
    """The attached dump volume, or else the only one. Raises NoDumpVolume, SeveralDumpVolumes.

    Only volumes that ProvisionDumpVolume recorded count: a tag could put another one in their place, or beside them.
    """
    present = [volume for volume in volumes if volume.is_ours and volume.state not in _GONE]
    attached = [volume for volume in present if volume.attached_to == instance_id]
    candidates = attached or present
    if not candidates:
        raise NoDumpVolume(
            f"ProvisionDumpVolume created no volume that is tagged {OWNER_TAG}={instance_id}: there is nothing to"
            " rescue a vmcore from.",
            "If the instance dumped to its root volume, or to a volume of yours, copy that volume yourself.",
        )
    if len(candidates) > 1:
        named = ", ".join(volume.volume_id for volume in candidates)
        raise SeveralDumpVolumes(
            f"{instance_id} has several dump volumes: {named}.",
            f"Remove the tag {OWNER_TAG} from all but the one with the vmcore, then start RescueVmcore again.",
        )
    return candidates[0]


_UNKNOWN = ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed")


def read_instance_or_none(instance_id: str) -> "InstanceTypeDef | None":
    """None when EC2 no longer knows the instance, an hour after its termination. Its dump volume may still exist."""
    try:
        answer = clients.ec2().describe_instances(InstanceIds=[instance_id])
    except ClientError as error:
        if error.response["Error"]["Code"] in _UNKNOWN:
            return None
        raise
    found = [each for reservation in answer["Reservations"] for each in reservation.get("Instances", [])]
    return found[0] if found else None


def place_rescue_instance(network: Mapping[str, Any], instance_id: str, place: RescueInstancePlace) -> dict[str, Any]:
    """The network interface for RunInstances, from SubnetId, SecurityGroups and PublicIpAddress of the hung instance.

    Raises InstanceNotFound when no subnet is known.
    """
    subnet_id = place.rescue_instance_subnet_id or network.get("SubnetId", "")
    group_id = place.rescue_instance_security_group_id
    # The instance's groups belong to its VPC. A given subnet may be in another VPC: use that one's default.
    of_instance = [] if place.rescue_instance_subnet_id else network.get("SecurityGroups", [])
    groups = [group_id] if group_id else [group["GroupId"] for group in of_instance]
    if not subnet_id:
        raise InstanceNotFound(
            f"{instance_id} no longer exists, so its subnet is unknown: the rescue instance cannot be launched there.",
            "Set rescueInstanceSubnetId (and rescueInstanceSecurityGroupId), deploy, then start RescueVmcore again.",
        )
    interface: dict[str, Any] = {"DeviceIndex": 0, "SubnetId": subnet_id, "DeleteOnTermination": True}
    if groups:
        interface["Groups"] = groups
    # Not every public subnet assigns public addresses; without one, Systems Manager and S3 cannot be reached.
    if not place.rescue_instance_subnet_id and network.get("PublicIpAddress"):
        interface["AssociatePublicIpAddress"] = True
    return interface


def marks(*, execution_name: str, incident_id: str, instance_id: str, volume_id: str) -> "list[TagTypeDef]":
    """The tags of everything that a rescue creates."""
    tags = {
        "Name": f"hangdump rescue of {instance_id}",
        STACK_TAG: STACK,
        RESCUE_EXECUTION_TAG: execution_name,
        INCIDENT_TAG: incident_id,
        RESCUED_INSTANCE_TAG: instance_id,
        COPIED_VOLUME_TAG: volume_id,
    }
    return [{"Key": key, "Value": value} for key, value in tags.items()]
