"""EBS snapshots: real copies of a machine's disk, from which an instance can be launched (launches.py)."""

from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_block_store import Snapshot

from lab.aws.patches import Patches
from lab.aws.state import AccountState


def install(patches: Patches, state: AccountState) -> None:
    """Real: pending for minutes, of the blocks as they are at the moment of the call, also while the volume is in use.

    moto: completed at once, of nothing. Here: the machine copies its disk in the background; tests make it an error.
    """
    ours: set[str] = set()

    def copying(original: Any) -> Any:
        def create_snapshot(backend: EC2Backend, volume_id: str, description: str, *rest: Any, **more: Any) -> Snapshot:
            machine = state.disk_owners.get(volume_id)
            # Volumes without a machine are moto's own, behind its public images, and the roots of instances.
            if machine is None:
                return original(backend, volume_id, description, *rest, **more)
            if code := state.refusals.get("CreateSnapshot"):
                raise EC2ClientError(code, f"No snapshot of '{volume_id}' can be taken now.")
            snapshot: Snapshot = original(backend, volume_id, description, *rest, **more)
            snapshot.status = "pending"
            ours.add(snapshot.id)
            state.events.emit("ec2", snapshot.id, f"snapshot of {volume_id} begun")

            def copy() -> None:
                machine.copy_disk(volume_id, snapshot.id)
                state.pause(state.clock.settle_seconds)
                snapshot.status = "error" if state.snapshots_break else "completed"
                state.events.emit("ec2", snapshot.id, f"snapshot {snapshot.status}")

            state.spawn(f"snapshot {snapshot.id}", copy)
            return snapshot

        return create_snapshot

    def announced(original: Any) -> Any:
        def delete_snapshot(backend: EC2Backend, snapshot_id: str) -> Any:
            result = original(backend, snapshot_id)
            if snapshot_id in ours:
                state.events.emit("ec2", snapshot_id, "snapshot deleted")
            return result

        return delete_snapshot

    patches.replace(EC2Backend, "create_snapshot", copying)
    patches.replace(EC2Backend, "delete_snapshot", announced)
