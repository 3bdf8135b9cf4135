"""Deletes the dump volume that a rescue has read, if its instance is gone and nothing of value is on it.

lambdas/rescue/orphan.py decides. The vmcore, if there was one, is in S3, proven, and opens before this is called.
"""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.provision.volume_record import read_volume_record
from lambdas.rescue.orphan import Copied, Original, why_keep
from lambdas.runtime import clients, moment
from lambdas.runtime.environment import OrphanRemoval, RecordKeeping
from lambdas.runtime.observability import entry_point, logger

_GONE = ("deleting", "deleted")
_NOT_FOUND = "InvalidVolume.NotFound"


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    """Takes the facts of a rescue, gives `{"volumeId","action","reason"}`: deleted, or kept and why."""
    instance_id, volume_id = event["incident"]["instanceId"], event["rescue"]["volumeId"]
    is_allowed = OrphanRemoval.read().rescues_at_a_time > 0
    reason = _remove(volume_id, instance_id, _copied(event)) if is_allowed else "the settings keep it"
    logger.info("%s of %s: %s", volume_id, instance_id, f"kept, {reason}" if reason else "deleted")
    return {"volumeId": volume_id, "action": "kept" if reason else "deleted", "reason": reason}


def _copied(event: Mapping[str, Any]) -> Copied:
    """A step that was not reached has left nothing in the event."""
    copy, found, verified, opened = (event.get(name) or {} for name in ("copy", "found", "verified", "opened"))
    return Copied(
        is_empty=copy["isEmpty"] is True,
        mount_point=copy["mountPoint"],
        file_count=copy["fileCount"],
        files=copy["files"],
        vmcore_path=(found.get("vmcore") or {}).get("path", ""),
        is_rescued=verified.get("verified") is True and bool(opened.get("kernelRelease")),
    )


def _remove(volume_id: str, instance_id: str, copied: Copied) -> str:
    """Why it stays; "" when it is deleted, also by an earlier call whose answer was lost."""
    try:
        (volume,) = clients.ec2().describe_volumes(VolumeIds=[volume_id])["Volumes"]
        if volume["State"] in _GONE:
            return ""
        original = Original(
            state=volume["State"],
            created_at=volume["CreateTime"],
            tags={tag["Key"]: tag["Value"] for tag in volume.get("Tags", [])},
        )
        record = read_volume_record(RecordKeeping.read().table_name, volume_id)
        if why := why_keep(copied, original, record, instance_id=instance_id, now=moment.now()):
            return why
        clients.ec2().delete_volume(VolumeId=volume_id)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "VolumeInUse":
            return "somebody has attached it meanwhile"
        if code != _NOT_FOUND:
            raise
    return ""
