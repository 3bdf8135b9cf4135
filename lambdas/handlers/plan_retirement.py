"""Refuses to retire an instance while a dump of it could be lost, and plans what is undone. Changes nothing."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.instance.facts import Instance, read_instance
from lambdas.provision.check_instance import require_systems_manager
from lambdas.provision.choose_volume import DumpVolume, read_dump_volumes
from lambdas.retire.unfinished import running_execution, unfinished_incident
from lambdas.runtime.environment import Collection, RecordKeeping, Rescue, Retirement
from lambdas.runtime.errors import IncidentUnfinished, InstanceNotEnrolled, InstanceNotRunning
from lambdas.runtime.execution_input import ExecutionInput, read_input
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import ENROLLED_TAG

_GONE = ("terminated", "shutting-down")


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input"}`, gives `{"isGone","parameters","volume","kept"}`; raises a named error.

    `volume` is the one that is attached and ours, or has no id; `kept` says of each other dump volume why it is kept.
    """
    instance_id = read_input(ExecutionInput, event["input"]).instance_id
    records = RecordKeeping.read().table_name
    _refuse_while_a_dump_is_on_its_way(instance_id, records)
    instance = read_instance(instance_id)
    volumes = [
        volume
        for volume in read_dump_volumes(instance_id, table_name=records)
        if volume.state not in ("deleting", "deleted")
    ]
    is_gone = instance is None or instance.state in _GONE
    if instance is not None and not is_gone:
        _require_reachable(instance)
    attached = next((each for each in volumes if _is_to_detach(each, instance_id)), None)
    kept = {each.volume_id: _why_kept(each, instance_id) for each in volumes if each is not attached}
    volume_id = attached.volume_id if attached and not is_gone else ""
    if attached and is_gone:
        kept[attached.volume_id] = "the instance is gone, so nobody can say that it is empty"
    logger.info("To retire %s: gone %s, volume %s, kept %s", instance_id, is_gone, volume_id or "none", kept)
    return {
        "isGone": is_gone,
        "parameters": {"mountPoint": [Retirement.read().mount_point], "volumeId": [volume_id or "none"]},
        "volume": {"volumeId": volume_id},
        "kept": [{"volumeId": name, "reason": reason} for name, reason in sorted(kept.items())],
    }


def _refuse_while_a_dump_is_on_its_way(instance_id: str, table_name: str) -> None:
    execution = running_execution(instance_id, Collection.read().collect_vmcore_arn, Rescue.read().rescue_vmcore_arn)
    if execution:
        raise IncidentUnfinished(
            f"{execution} works on {instance_id}.", "Wait for its end, then retire the instance again."
        )
    incident_id = unfinished_incident(instance_id, table_name)
    if incident_id:
        raise IncidentUnfinished(
            f"The incident {incident_id} of {instance_id} has no verdict.",
            f'Start CollectVmcore with {{"instanceId": "{instance_id}", "incidentId": "{incident_id}"}}, then retire '
            "the instance again.",
        )


def _require_reachable(instance: Instance) -> None:
    """Raises InstanceNotRunning, InstanceNotEnrolled, InstanceNotManaged, UnsupportedPlatform."""
    name = instance.instance_id
    if instance.state != "running":
        raise InstanceNotRunning(
            f"{name} is {instance.state}: its alarm and its ready tags are removed, but its kdump cannot be undone.",
            "Start it, then retire it again; or terminate it.",
        )
    if not instance.is_enrolled:
        raise InstanceNotEnrolled(
            f"{name} is not tagged {ENROLLED_TAG}=true, so no document may run on it: its alarm and its ready tags are "
            "removed, but its kdump cannot be undone.",
            "To undo it, tag the instance again, then retire it: the tag is removed in the end.",
        )
    require_systems_manager(instance, then="retire it again")


def _is_to_detach(volume: DumpVolume, instance_id: str) -> bool:
    return volume.is_ours and volume.attached_to == instance_id and not volume.is_leaving


def _why_kept(volume: DumpVolume, instance_id: str) -> str:
    if not volume.is_ours:
        return "ProvisionDumpVolume did not create it for this instance"
    if volume.attached_to == instance_id:
        return "it is being detached"
    if volume.attached_to:
        return f"it is attached to {volume.attached_to}"
    return "it is not attached, so nobody can say that it is empty"
