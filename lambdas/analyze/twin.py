"""The twin that analyses a vmcore: an instance of the same image, so of the same distribution and repositories.

Decides image, instance type and disk; owns the proof that an instance is the twin of an execution.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lambdas.incident.record import Incident
from lambdas.instance.facts import Instance
from lambdas.runtime.environment import TwinTypes
from lambdas.runtime.errors import TwinImageUnavailable, UnsupportedArchitecture
from lambdas.runtime.tags import INCIDENT_TAG, MADE_FOR_TAG, MAKER_TAG, PROTECTING_TAGS, STACK, STACK_TAG
from lambdas.short_lived.image import find_image, root_disk
from lambdas.short_lived.made_by import why_not_made_by

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef

_GIB = 1024**3
# analyze_vmcore asks for 4 GiB beside the vmcore. The debug packages of a kernel take 3 to 5 GiB, and as much again
# while they are downloaded and unpacked (from memory).
_ROOM_GIB = 16


def read_image(instance_id: str, launched_from: Mapping[str, Any]) -> "ImageTypeDef":
    """The image of the incident's instance. Raises TwinImageUnavailable."""
    image_id = launched_from.get("ImageId", "")
    if not image_id:
        raise _unavailable(f"The image of {instance_id} is not known: EC2 has forgotten it, and so has its record.")
    image = find_image(image_id)
    if image is None:
        raise _unavailable(f"{image_id}, the image of {instance_id}, is deregistered or not shared with this account.")
    return image


def _unavailable(happened: str) -> TwinImageUnavailable:
    return TwinImageUnavailable(
        happened, 'Start AnalyzeVmcore with "analysisInstanceId": a host of the same distribution (docs/analysis.md).'
    )


def instance_type(image: "ImageTypeDef", types: TwinTypes) -> str:
    """The type of the image's architecture. Raises UnsupportedArchitecture."""
    by_architecture = {"x86_64": types.analysis_instance_type, "arm64": types.analysis_instance_type_arm64}
    architecture = image.get("Architecture", "")
    if architecture not in by_architecture:
        raise UnsupportedArchitecture(
            f"{image['ImageId']} is of the architecture {architecture or 'unknown'}: no twin can be launched from it."
        )
    return by_architecture[architecture]


def disk_for(image: "ImageTypeDef", vmcore_bytes: int) -> list[dict[str, Any]]:
    """The twin's root, larger by the vmcore and what its symbols need."""
    return root_disk(image, more_gib=-(-vmcore_bytes // _GIB) + _ROOM_GIB)


def why_not_twin(instance: Instance, incident: Incident, *, execution_name: str, client_token: str) -> str:
    """Why the instance is not the twin that this execution launched; empty when it is.

    A twin carries no tag of an owner who lets it read vmcores. So its tags, the incident's record and the token of its
    launch must agree. Whoever may tag changes neither of the last two.
    """
    tags = instance.tags
    if instance.client_token != client_token:
        return "it was not launched by this execution"
    if tags.get(STACK_TAG) != STACK or tags.get(MAKER_TAG) != execution_name:
        return "its tags are not those of this execution"
    if tags.get(INCIDENT_TAG) != incident.incident_id:
        return "it was launched for another incident"
    if protecting := PROTECTING_TAGS & tags.keys():
        return f"it is tagged {min(protecting)}"
    return why_not_made_by(
        execution_name,
        incident,
        for_instance=tags.get(MADE_FOR_TAG, ""),
        made_at=instance.launched_at,
        is_instance=True,
    )
