"""Chooses the volume that a rescue copies."""

from collections.abc import Sequence

from lambdas.provision.choose_volume import DumpVolume
from lambdas.runtime.errors import NoDumpVolume, SeveralDumpVolumes
from lambdas.runtime.tags import OWNER_TAG

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
