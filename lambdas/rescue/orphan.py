"""Decides whether the dump volume that a rescue has read may be deleted. Pure.

Only that of a terminated member of an Auto Scaling group, and only when nothing of value is on it: it is empty, or all
that is on it belongs to the one vmcore that is in S3, is proven and opens.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from lambdas.provision.volume_record import VolumeRecord
from lambdas.runtime.tags import OWNER_TAG, RETAIN_TAG, STACK, STACK_TAG, is_retained

# As long as EC2 may not know a new instance everywhere yet.
_SETTLED = timedelta(hours=1)
# What kdump writes beside a dump: dmesg.202611230400, vmcore-dmesg.txt, dmesg.txt, kexec-dmesg.log, README.txt
_BESIDE_A_DUMP = re.compile(r"dmesg(\.[0-9]+|\.txt)?|vmcore-dmesg\.txt|kexec-dmesg\.log|README\.txt")


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What the rescue instance has seen of the copy. `files` holds the first ones, relative to the mount point."""

    is_empty: bool
    mount_point: str = ""
    file_count: int = 0
    files: Sequence[str] = ()
    # The vmcore that was found, and whether it is in S3, proven, and opens.
    vmcore_path: str = ""
    is_rescued: bool = False


@dataclass(frozen=True, kw_only=True)
class Original:
    """The dump volume itself, as EC2 shows it now."""

    state: str
    created_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)


def why_keep(
    copied: Copied, original: Original, record: VolumeRecord | None, *, instance_id: str, now: datetime
) -> str:
    """Why the volume stays; "": it may be deleted. The instance was gone before the copy was made."""
    tags, is_of_stack = original.tags, original.tags.get(STACK_TAG) == STACK
    is_recorded = record is not None and record.instance_id == instance_id
    objections = {
        "its tags are not those of a dump volume of this instance": not is_of_stack
        or tags.get(OWNER_TAG) != instance_id,
        "no record says that ProvisionDumpVolume created it for this instance": not is_recorded,
        "its instance was in no Auto Scaling group": record is None or not record.group,
        f"it is tagged {RETAIN_TAG}": is_retained(tags),
        f"it is {original.state}": original.state != "available",
        "it is younger than an hour": now - original.created_at < _SETTLED,
    }
    return next((words for words, is_true in objections.items() if is_true), "") or _why_of_value(copied)


def _why_of_value(copied: Copied) -> str:
    if copied.is_empty:
        return ""
    if not copied.is_rescued:
        return "its vmcore is not proven in S3" if copied.vmcore_path else "it is not empty"
    vmcore = PurePosixPath(copied.vmcore_path)
    known = {str(vmcore)}
    files = [PurePosixPath(copied.mount_point) / each for each in copied.files]
    unknown = [
        str(each)
        for each in files
        if str(each) not in known and not (each.parent == vmcore.parent and _BESIDE_A_DUMP.fullmatch(each.name))
    ]
    if vmcore not in files or len(files) < copied.file_count:
        return f"{copied.file_count} files are on it, and not all are known"
    return f"other files are on it: {', '.join(unknown[:3])}" if unknown else ""
