"""Plans a rescue: the volume to copy, and the network and tags of the instance that reads the copy."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.incident.record import Incident, timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.instance.facts import Instance, read_instance
from lambdas.provision.choose_volume import read_dump_volumes
from lambdas.provision.volume_record import read_volume_record
from lambdas.rescue.plan import choose_source
from lambdas.runtime import moment
from lambdas.runtime.environment import RecordKeeping, RescueInstancePlace
from lambdas.runtime.errors import InstanceNotEnrolled, InvalidInput
from lambdas.runtime.execution import client_token
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import COPIED_VOLUME_TAG, ENROLLED_TAG, INCIDENT_TAG
from lambdas.short_lived.launch import marks, network_interface


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incident":{"incidentId"},"executionId","executionName"}`; raises NoDumpVolume and more."""
    records = IncidentTable(RecordKeeping.read().table_name)
    incident = _read(event["incident"]["incidentId"], records)
    instance_id = incident.instance_id
    instance = read_instance(instance_id)
    _require_consent(instance, instance_id)
    source = choose_source(instance_id, read_dump_volumes(instance_id, table_name=records.name))
    network = _network(instance, incident, source.volume_id, records.name)
    interface = network_interface(network, instance_id, RescueInstancePlace.read(), machine="RescueVmcore")
    tags = marks(
        name=f"hangdump rescue of {instance_id}",
        execution_name=event["executionName"],
        instance_id=instance_id,
        **{INCIDENT_TAG: incident.incident_id, COPIED_VOLUME_TAG: source.volume_id},
    )
    logger.info("The rescue copies %s; its instance goes to %s", source.volume_id, interface["SubnetId"])
    entry = timeline_entry(moment.now(), "rescue-planned", f"a copy of {source.volume_id}")
    # For an analysis after EC2 has forgotten the instance.
    known = {"network": network, "launchedFrom": instance.launched_from} if instance else {}
    records.update(incident.incident_id, known, timeline=[entry])
    return {
        "volumeId": source.volume_id,
        # Nothing is written to the volume after the copy that is about to be made, unless somebody attaches it.
        "isInstanceGone": instance is None or instance.state == "terminated",
        "description": f"Hangdump: rescue of the vmcore of {instance_id}",
        "clientToken": client_token(event["executionId"]),
        "networkInterface": interface,
        "copyTags": [{"ResourceType": "snapshot", "Tags": tags}],
        "collectorTags": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    }


def _read(incident_id: str, records: IncidentTable) -> Incident:
    """The record says whose volume is copied, whatever else the event says."""
    known = records.read(incident_id)
    if known is None or not known.instance_id:
        raise InvalidInput(f"There is no incident {incident_id!r} in the table.", "Start RescueVmcore instead.")
    return known


def _network(instance: Instance | None, incident: Incident, volume_id: str, table_name: str) -> dict[str, Any]:
    """EC2 no longer tells the network of a terminated instance: its incident does, or the record of its dump volume."""
    if instance and "SubnetId" in instance.network:
        return instance.network
    record = read_volume_record(table_name, volume_id)
    return incident.network or dict(record.network if record else {})


def _require_consent(instance: Instance | None, instance_id: str) -> None:
    """The memory belongs to the instance's owner, who must have agreed as long as the instance exists."""
    if instance is not None and instance.state != "terminated" and not instance.is_enrolled:
        raise InstanceNotEnrolled(
            f"{instance_id} is not tagged {ENROLLED_TAG}=true.",
            "If its owner agrees, tag it and start RescueVmcore again.",
        )
