"""Which volume holds the dump of an instance: the one that it has, or the only one that it had. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.runtime.errors import NoDumpVolume, SeveralDumpVolumes
from lambdas.runtime.tags import OWNER_TAG

_GONE = ("creating", "deleting", "deleted", "error")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A volume tagged as the instance's dump volume; attached_to "" when it is attached to none."""

    volume_id: str
    state: str
    attached_to: str = ""


def choose_source(instance_id: str, volumes: Sequence[Source]) -> Source:
    """Raises NoDumpVolume, SeveralDumpVolumes."""
    present = [volume for volume in volumes if volume.state not in _GONE]
    attached = [volume for volume in present if volume.attached_to == instance_id]
    candidates = attached or present
    if not candidates:
        raise NoDumpVolume(
            f"No volume is tagged {OWNER_TAG}={instance_id}: there is nothing to read its vmcore from.",
            "If it dumped to its root volume, copy that yourself.",
        )
    if len(candidates) > 1:
        named = ", ".join(volume.volume_id for volume in candidates)
        raise SeveralDumpVolumes(
            f"{instance_id} has several dump volumes: {named}.",
            f"Take the tag {OWNER_TAG} from all but the one with the vmcore, then start RescueVmcore again.",
        )
    return candidates[0]
