"""Chooses an instance's dump volume: the attached one, an unattached one from before, or a new one.

A volume is taken only if ProvisionDumpVolume recorded in the incident table that it created it for this instance. Tags
do not prove that: whoever may tag could hand a host a volume of theirs, and get its memory with the next dump.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lambdas.instance.facts import Instance
from lambdas.provision.volume_record import read_volume_record
from lambdas.runtime import clients
from lambdas.runtime.errors import DumpVolumeElsewhere, DumpVolumeUnfit, NoFreeDeviceName, SeveralDumpVolumes
from lambdas.runtime.observability import logger
from lambdas.runtime.tags import OWNER_TAG, STACK, STACK_TAG

# /dev/sdf and /dev/xvdf1 both use the letter f: a letter used with one driver's prefix is taken for all.
_DEVICE_LETTER = re.compile(r"/dev/(?:sd|xvd|hd)([a-z])")
# Both the old and the new naming rules of EC2 allow these.
_DEVICE_LETTERS = "fghijklmnop"
_GONE = ("deleting", "deleted", "error")


@dataclass(frozen=True, kw_only=True)
class DumpVolume:
    """A volume tagged as the instance's dump volume; attachment_state "": it is not attached.

    is_ours: it has this stack's tag, and the table says that it was created for this instance.
    """

    volume_id: str
    state: str
    availability_zone: str
    size_gib: int
    is_encrypted: bool
    is_ours: bool
    attached_to: str = ""
    attachment_state: str = ""
    device: str = ""
    # The snapshot that it was made from.
    snapshot_id: str = ""

    @property
    def is_leaving(self) -> bool:
        """Whether it is being detached."""
        return self.attachment_state == "detaching"

    def faults(self, size_gib: int) -> list[str]:
        """Why no dump of `size_gib` may be written to it."""
        faults = {
            "ProvisionDumpVolume did not create it for this instance": not self.is_ours,
            "it is not encrypted": not self.is_encrypted,
            f"it has {self.size_gib} GiB of {size_gib}": self.size_gib < size_gib,
        }
        return [fault for fault, is_true in faults.items() if is_true]


@dataclass(frozen=True)
class Choice:
    """The action and its volume; volume_id is "" for a new one. measure: create one, when its size is known.

    parked: none is needed between dumps.
    """

    action: Literal["create", "attach", "reuse", "measure", "parked"]
    volume_id: str
    size_gib: int
    device: str

    def as_json(self, instance: Instance, *, token: str) -> dict[str, Any]:
        """For the states that create and attach it; `token` makes a repeated creation harmless."""
        return {
            "action": self.action,
            "volumeId": self.volume_id,
            "sizeGib": self.size_gib,
            "clientToken": token,
            "device": self.device,
            "tags": dump_volume_tags(instance.instance_id),
            # For the record of a new volume: EC2 forgets both with the instance.
            "autoScalingGroup": instance.auto_scaling_group,
            "network": instance.network,
        }


def dump_volume_tags(instance_id: str) -> list[dict[str, str]]:
    """The tags of an instance's dump volume, and of the snapshot that it is parked as."""
    tags = {"Name": f"hangdump {instance_id}", OWNER_TAG: instance_id, STACK_TAG: STACK}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def choose_volume(instance: Instance, volumes: Sequence[DumpVolume], *, size_gib: int) -> Choice:
    """Raises DumpVolumeUnfit, DumpVolumeElsewhere, SeveralDumpVolumes, NoFreeDeviceName."""
    present = [volume for volume in volumes if volume.state not in _GONE]
    attached = [each for each in present if each.attached_to == instance.instance_id and not each.is_leaving]
    if attached:
        volume = min(attached, key=lambda each: (bool(each.faults(size_gib)), each.volume_id))
        if volume.faults(size_gib):
            raise _unfit(instance, volume, size_gib)
        return Choice("reuse", volume.volume_id, volume.size_gib, volume.device)
    ours = [volume for volume in present if volume.is_ours]
    free = [volume for volume in ours if _is_free(instance, volume)]
    usable = [volume for volume in free if not volume.faults(size_gib)]
    ignored = [volume.volume_id for volume in present if volume not in usable]
    if ignored:
        logger.warning("Not taken as the dump volume of %s: %s", instance.instance_id, ", ".join(ignored))
    if len(usable) > 1:
        named = ", ".join(volume.volume_id for volume in usable)
        raise SeveralDumpVolumes(
            f"{instance.instance_id} has several unattached dump volumes: {named}.",
            f"Find the one with the vmcore that you need; delete the others or remove their tag {OWNER_TAG}.",
        )
    if not free and ours:
        raise _elsewhere(instance, ours)
    device = _free_device(instance)
    if usable:
        return Choice("attach", usable[0].volume_id, usable[0].size_gib, device)
    return Choice("create", "", size_gib, device)


def choose_crash_volume(
    instance: Instance, volumes: Sequence[DumpVolume], *, snapshot_id: str, former_id: str
) -> Choice:
    """The volume for the waiting crash kernel of a parked host: one made of its snapshot, or the one that was parked.

    Any other volume has another file system, and the crash kernel would wait in vain. Raises NoFreeDeviceName alone:
    a volume that cannot be used is no reason to make none.
    """
    right = [
        volume
        for volume in volumes
        if volume.is_ours
        and volume.state not in _GONE
        and (volume.snapshot_id == snapshot_id or volume.volume_id == former_id)
    ]
    attached = [each for each in right if each.attached_to == instance.instance_id and not each.is_leaving]
    if attached:
        return Choice("reuse", attached[0].volume_id, attached[0].size_gib, attached[0].device)
    device = _free_device(instance)
    # The former one first: an earlier crash may have left its dump there.
    free = sorted((each for each in right if _is_free(instance, each)), key=lambda each: each.volume_id != former_id)
    if free:
        return Choice("attach", free[0].volume_id, free[0].size_gib, device)
    return Choice("create", "", 0, device)


def _is_free(instance: Instance, volume: DumpVolume) -> bool:
    # `creating`: an earlier execution died right after CreateVolume; the state machine waits for the volume.
    return volume.state in ("available", "creating") and volume.availability_zone == instance.availability_zone


def _unfit(instance: Instance, volume: DumpVolume, size_gib: int) -> DumpVolumeUnfit:
    return DumpVolumeUnfit(
        f"{volume.volume_id} is attached to {instance.instance_id} as its dump volume, but no dump may be written to"
        f" it: {', '.join(volume.faults(size_gib))}.",
        f"Copy the dumps that you need from it, detach it, remove its tag {OWNER_TAG}, and run ProvisionDumpVolume"
        " again: it creates another one. If only the size is wrong and suffices, set sizeGib.",
    )


def _elsewhere(instance: Instance, volumes: Iterable[DumpVolume]) -> DumpVolumeElsewhere:
    places = "; ".join(f"{volume.volume_id} is {_place(volume)}" for volume in volumes)
    return DumpVolumeElsewhere(
        f"The dump volume cannot be attached to {instance.instance_id} in {instance.availability_zone}: {places}.",
        f"Detach it there, or remove its tag {OWNER_TAG} so that a new volume is created. A detaching volume is free"
        " within a minute.",
    )


def _place(volume: DumpVolume) -> str:
    if volume.is_leaving:
        return f"detaching from {volume.attached_to}"
    if volume.attached_to:
        return f"attached to {volume.attached_to}"
    return f"{volume.state} in {volume.availability_zone}"


def _free_device(instance: Instance) -> str:
    taken = {match[1] for name in instance.device_names if (match := _DEVICE_LETTER.match(name))}
    for letter in _DEVICE_LETTERS:
        if letter not in taken:
            return f"/dev/sd{letter}"
    raise NoFreeDeviceName(
        f"{instance.instance_id} uses every device name from /dev/sdf to /dev/sdp.",
        "Detach a volume that it does not need, then run ProvisionDumpVolume again.",
    )


def read_dump_volumes(instance_id: str, *, table_name: str) -> list[DumpVolume]:
    pages = (
        clients.ec2()
        .get_paginator("describe_volumes")
        .paginate(Filters=[{"Name": f"tag:{OWNER_TAG}", "Values": [instance_id]}])
    )
    volumes = []
    for volume in (volume for page in pages for volume in page["Volumes"]):
        # gp3 has no Multi-Attach: there is one attachment at most.
        attachment = volume["Attachments"][0] if volume.get("Attachments") else {}
        is_of_stack = {"Key": STACK_TAG, "Value": STACK} in volume.get("Tags", [])
        volumes.append(
            DumpVolume(
                volume_id=volume["VolumeId"],
                state=volume["State"],
                availability_zone=volume["AvailabilityZone"],
                size_gib=volume["Size"],
                is_encrypted=volume.get("Encrypted", False),
                is_ours=is_of_stack and _is_recorded(volume["VolumeId"], instance_id, table_name),
                attached_to=attachment.get("InstanceId", ""),
                attachment_state=attachment.get("State", ""),
                device=attachment.get("Device", ""),
                snapshot_id=volume.get("SnapshotId", ""),
            )
        )
    return volumes


def _is_recorded(volume_id: str, instance_id: str, table_name: str) -> bool:
    record = read_volume_record(table_name, volume_id)
    return record is not None and record.instance_id == instance_id
