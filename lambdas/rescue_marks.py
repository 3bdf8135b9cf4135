"""The tags on everything that a rescue makes: by them it is found again, by its own end and by the sweep."""

from typing import TYPE_CHECKING

from lambdas.runtime.tags import (
    COPIED_VOLUME_TAG,
    INCIDENT_TAG,
    RESCUE_EXECUTION_TAG,
    RESCUED_INSTANCE_TAG,
    STACK,
    STACK_TAG,
)

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import TagTypeDef


def marks(*, execution_name: str, incident_id: str, instance_id: str, volume_id: str) -> "list[TagTypeDef]":
    """As EC2 takes them."""
    tags = {
        "Name": f"hangdump rescue of {instance_id}",
        STACK_TAG: STACK,
        RESCUE_EXECUTION_TAG: execution_name,
        INCIDENT_TAG: incident_id,
        RESCUED_INSTANCE_TAG: instance_id,
        COPIED_VOLUME_TAG: volume_id,
    }
    return [{"Key": key, "Value": value} for key, value in tags.items()]
