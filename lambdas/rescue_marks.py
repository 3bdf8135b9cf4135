"""The tags on everything that a rescue makes: by them it is found again, by its own end and by the sweep."""

from typing import TYPE_CHECKING

from lambdas.plan_dump_volume import STACK, STACK_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import TagTypeDef

# Its execution, its incident, and the instance whose dump it is after. Never OWNER_TAG: ProvisionDumpVolume would take
# a copy for a dump volume.
RESCUE_TAG = "hangdump:rescue"
INCIDENT_TAG = "hangdump:incident"
RESCUED_TAG = "hangdump:rescue-of"
# On the copy: the volume that it is a copy of.
SOURCE_TAG = "hangdump:copy-of"


def marks(*, execution_name: str, incident_id: str, instance_id: str, volume_id: str) -> "list[TagTypeDef]":
    """As EC2 takes them."""
    tags = {
        "Name": f"hangdump rescue of {instance_id}",
        STACK_TAG: STACK,
        RESCUE_TAG: execution_name,
        INCIDENT_TAG: incident_id,
        RESCUED_TAG: instance_id,
        SOURCE_TAG: volume_id,
    }
    return [{"Key": key, "Value": value} for key, value in tags.items()]
