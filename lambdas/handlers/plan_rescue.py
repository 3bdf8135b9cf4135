"""Plans a rescue: the volume to copy, and the network and tags of the instance that reads the copy."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.incident.record import timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.provision.choose_volume import client_token
from lambdas.rescue.plan import choose_source, marks, place_rescue_instance, read_instance_or_none, read_sources
from lambdas.runtime import moment
from lambdas.runtime.environment import RecordKeeping, RescueInstancePlace
from lambdas.runtime.errors import InstanceNotEnrolled
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import ENROLLED_TAG

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incident","executionId","executionName"}`; raises NoDumpVolume, SeveralDumpVolumes and more."""
    incident = event["incident"]
    instance_id = incident["instanceId"]
    instance = read_instance_or_none(instance_id)
    _require_consent(instance, instance_id)
    source = choose_source(instance_id, read_sources(instance_id))
    records = IncidentTable(RecordKeeping.read().table_name)
    network = instance if instance and "SubnetId" in instance else _recorded_network(incident["incidentId"], records)
    interface = place_rescue_instance(network, instance_id, RescueInstancePlace.read())
    tags = marks(
        execution_name=event["executionName"],
        incident_id=incident["incidentId"],
        instance_id=instance_id,
        volume_id=source.volume_id,
    )
    logger.info("The rescue copies %s; its instance goes to %s", source.volume_id, interface["SubnetId"])
    entry = timeline_entry(moment.now(), "rescue-planned", f"a copy of {source.volume_id}")
    records.update(incident["incidentId"], {}, timeline=[entry])
    return {
        "volumeId": source.volume_id,
        "description": f"Hangdump: rescue of the vmcore of {instance_id}",
        "clientToken": client_token(event["executionId"]),
        "networkInterface": interface,
        "copyTags": [{"ResourceType": "snapshot", "Tags": tags}],
        "collectorTags": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    }


def _recorded_network(incident_id: str, records: IncidentTable) -> dict[str, Any]:
    """The network of a terminated instance, which EC2 no longer shows."""
    known = records.read(incident_id)
    return known.network if known else {}


def _require_consent(instance: "InstanceTypeDef | None", instance_id: str) -> None:
    """The memory belongs to the instance's owner, who must have agreed as long as the instance exists."""
    if instance is None or instance["State"]["Name"] == "terminated":
        return
    if not any(tag["Key"] == ENROLLED_TAG and tag["Value"] == "true" for tag in instance.get("Tags", [])):
        raise InstanceNotEnrolled(
            f"{instance_id} is not tagged {ENROLLED_TAG}=true.",
            "If its owner agrees, tag it and start RescueVmcore again.",
        )
