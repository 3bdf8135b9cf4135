"""Removes the dump volume of a twin: only one that our record says is the twin's, and that holds nothing of value."""

from collections.abc import Iterable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from lambdas.provision.choose_volume import DumpVolume
from lambdas.runtime import clients

_GONE = ("deleting", "deleted")
_NOT_FOUND, _IN_USE = "InvalidVolume.NotFound", "VolumeInUse"


@dataclass(frozen=True)
class Kept:
    """A volume that stays, and why."""

    volume_id: str
    reason: str

    def __str__(self) -> str:
        return f"{self.volume_id} ({self.reason})"


def why_kept(volume: DumpVolume, *, is_empty: bool) -> str:
    """Why the volume stays; empty: it is to be deleted. is_empty: nothing was hung, or the vmcore is in the bucket."""
    if not volume.is_ours:
        return "ProvisionDumpVolume did not create it for the twin"
    if not is_empty:
        return "it may hold the only dump of the drill"
    return f"it is attached to {volume.attached_to}" if volume.attached_to else ""


def remove_volumes(volumes: Iterable[DumpVolume], *, is_empty: bool) -> list[Kept]:
    """Deletes those that may go; the others."""
    kept = []
    for volume in volumes:
        if volume.state in _GONE:
            continue
        reason = why_kept(volume, is_empty=is_empty) or _delete(volume.volume_id)
        if reason:
            kept.append(Kept(volume.volume_id, reason))
    return kept


def _delete(volume_id: str) -> str:
    try:
        clients.ec2().delete_volume(VolumeId=volume_id)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == _IN_USE:
            return "it is still attached"
        if code != _NOT_FOUND:
            raise
    return ""
