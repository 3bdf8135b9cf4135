"""EBS volumes: the rules that moto does not enforce, and disks that appear in the machine a moment later."""

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_block_store import Volume, VolumeAttachment
from moto.ec2.models.instances import Instance
from moto.ec2.responses import EC2Response

from lab.aws.patches import Patches
from lab.aws.state import AccountState, Computer, utc_now

# Most Nitro types share 28 slots among volumes and network interfaces; one interface is always there.
ATTACHMENT_SLOTS = 27


def install(patches: Patches, state: AccountState) -> None:
    _install_creation(patches, state)
    _install_attachment(patches, state)
    _install_detachment(patches, state)


def _install_creation(patches: Patches, state: AccountState) -> None:
    creation = _Creation(state)
    patches.replace(EC2Response, "create_volume", creation.idempotent)
    patches.replace(EC2Backend, "delete_volume", creation.announced)

    def status(volume: Volume) -> str:
        if volume.attachment:
            return "in-use"
        age = (utc_now().replace(tzinfo=None) - volume.create_time.replace(tzinfo=None)).total_seconds()
        return "creating" if age < state.clock.settle_seconds else "available"

    patches.replace(Volume, "status", lambda _original: property(status))


def require_complete(backend: EC2Backend, snapshot_id: str | None) -> None:
    """Real: a snapshot that is pending or broken makes no volume. moto: any does."""
    if snapshot_id and backend.get_snapshot(snapshot_id).status != "completed":
        raise EC2ClientError("IncorrectState", f"Snapshot '{snapshot_id}' is not 'completed'.")


class _Creation:
    """Real: idempotent by ClientToken, ratio of gp3 checked, "creating" for a moment. moto: none of these."""

    def __init__(self, state: AccountState) -> None:
        self._state = state
        self._by_token: dict[str, tuple[dict[str, Any], Volume]] = {}
        self._ours: set[str] = set()

    def idempotent(self, original: Any) -> Any:
        def create_volume(response: EC2Response) -> ActionResult:
            asked = {k: v for k, v in response.params.items() if k != "ClientToken"}
            _check_performance(asked)
            token = response._get_param("ClientToken")
            if token in self._by_token:
                params, volume = self._by_token[token]
                if params != asked:
                    message = f"Client token '{token}' was used with other parameters."
                    raise EC2ClientError("IdempotentParameterMismatch", message)
                return ActionResult(volume)
            if code := self._state.refusals.get("CreateVolume"):
                raise EC2ClientError(code, "No volume can be made now.")
            require_complete(response.ec2_backend, response._get_param("SnapshotId"))
            result = original(response)
            volume = result.result
            self._ours.add(volume.id)
            if token:
                self._by_token[token] = (asked, volume)
            self._state.events.emit("ec2", volume.id, f"volume created: {volume.size} GiB {volume.volume_type}")
            return result

        return create_volume

    def announced(self, original: Any) -> Any:
        def delete_volume(backend: EC2Backend, volume_id: str) -> Volume:
            volume = original(backend, volume_id)
            # moto itself creates and deletes thousands, for the snapshots behind its public images.
            if volume_id in self._ours:
                self._state.events.emit("ec2", volume_id, "volume deleted")
            return volume

        return delete_volume


def _check_performance(asked: dict[str, Any]) -> None:
    iops, throughput = int(asked.get("Iops") or 3000), int(asked.get("Throughput") or 125)
    if asked.get("VolumeType") == "gp3" and not 125 <= throughput <= 2000:
        raise EC2ClientError("InvalidParameterValue", f"Throughput {throughput} is not between 125 and 2000 MiB/s.")
    if asked.get("VolumeType") == "gp3" and throughput > iops * 0.25:
        raise EC2ClientError(
            "InvalidParameterCombination", f"The throughput to iops ratio of {throughput}/{iops} exceeds 0.25."
        )


def _install_attachment(patches: Patches, state: AccountState) -> None:
    """Real: refuses another AZ, a taken device, a volume in use or not available; attaches within seconds.

    moto: accepts anything, at once, and comes here for root devices too (no computer is known for those yet).
    """

    def make(original: Any) -> Any:
        def attach_volume(
            backend: EC2Backend, volume_id: str, instance_id: str, device_path: str, *rest: Any, **options: Any
        ) -> VolumeAttachment:
            computer = state.computers.get(instance_id)
            if computer is None:
                return original(backend, volume_id, instance_id, device_path, *rest, **options)
            volume, instance = backend.get_volume(volume_id), backend.get_instance(instance_id)
            _check_attachment(volume, instance, device_path)
            attachment = original(backend, volume_id, instance_id, device_path, *rest, **options)
            attachment.status = instance.block_device_mapping[device_path].status = "attaching"
            state.events.emit("ec2", volume_id, f"attaching to {instance_id} as {device_path}")
            state.spawn(f"attach {volume_id}", _plug, state, computer, attachment)
            return attachment

        return attach_volume

    patches.replace(EC2Backend, "attach_volume", make)


def _check_attachment(volume: Volume, instance: Instance, device: str) -> None:
    if instance.state not in ("running", "stopped"):
        raise EC2ClientError("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
    if volume.attachment:
        raise EC2ClientError("VolumeInUse", f"{volume.id} is already attached to an instance")
    if volume.status != "available":
        raise EC2ClientError("IncorrectState", f"{volume.id} is not 'available'.")
    if volume.availability_zone != instance.availability_zone:
        raise EC2ClientError(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
        )
    if device in instance.block_device_mapping:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
        )
    if len(instance.block_device_mapping) >= ATTACHMENT_SLOTS:
        raise EC2ClientError("AttachmentLimitExceeded", "The maximum number of attachments is reached.")


def _plug(state: AccountState, computer: Computer, attachment: VolumeAttachment) -> None:
    volume = attachment.volume
    state.disk_owners[volume.id] = computer.machine
    computer.machine.attach_disk(volume.id, volume.size, attachment.device, snapshot_id=volume.snapshot_id or "")
    state.pause(state.clock.settle_seconds)
    mapping = attachment.instance.block_device_mapping.get(attachment.device)
    if mapping is not None and attachment.status == "attaching":
        attachment.status, mapping.status = "attached", "in-use"
        state.events.emit("ec2", volume.id, f"attached to {computer.instance_id} as {attachment.device}")


def _install_detachment(patches: Patches, state: AccountState) -> None:
    """Real: InstanceId is optional, takes a moment, waits for the guest. moto: immediate, TypeError without InstanceId.

    The machine is not asked whether the disk is mounted: that EC2 stays "busy" then is not emulated.
    """

    def make(original: Any) -> Any:
        def detach_volume(
            backend: EC2Backend, volume_id: str, instance_id: str | None, device_path: str | None
        ) -> VolumeAttachment:
            attachment = backend.get_volume(volume_id).attachment
            if attachment is None:
                raise EC2ClientError("IncorrectState", f"Volume '{volume_id}' is in the 'available' state.")
            instance_id = instance_id or attachment.instance_id
            if instance_id != attachment.instance_id:
                raise EC2ClientError(
                    "InvalidAttachment.NotFound", f"Volume '{volume_id}' is not attached to {instance_id}"
                )
            computer = state.computers.get(instance_id)
            if computer is None or computer.is_ending or not _is_ours(attachment):
                return original(backend, volume_id, instance_id, device_path)
            # Asked again while it goes.
            if attachment.status == "detaching":
                return attachment
            attachment.status = "detaching"
            state.events.emit("ec2", volume_id, f"detaching from {instance_id}")
            state.spawn(f"detach {volume_id}", _unplug, state, computer, attachment, original)
            return attachment

        return detach_volume

    patches.replace(EC2Backend, "detach_volume", make)


def _is_ours(attachment: VolumeAttachment) -> bool:
    """Not the root device, which the machine brings itself, and not one that goes with a terminated instance."""
    is_root = attachment.device in ("/dev/sda1", attachment.instance.root_device_name)
    return not is_root and attachment.instance.state in ("running", "stopping", "stopped")


def _unplug(state: AccountState, computer: Computer, attachment: VolumeAttachment, detach: Any) -> None:
    computer.machine.detach_disk(attachment.volume_id)
    state.pause(state.clock.settle_seconds)
    detach(state.backend("ec2"), attachment.volume_id, attachment.instance_id, attachment.device)
    state.events.emit("ec2", attachment.volume_id, f"detached from {computer.instance_id}")
