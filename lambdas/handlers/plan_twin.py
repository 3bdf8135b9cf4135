"""Plans the twin that analyses a vmcore: its image, type, disk, network and tags. Records that this execution makes it.

The record comes before the launch: nothing is removed, and no instance reads a vmcore, that it does not confirm.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.analyze.request import AnalysisInput, known_incident, vmcore_bytes
from lambdas.analyze.twin import disk_for, instance_type, read_image
from lambdas.incident.record import ANALYSIS_OPENED, Incident, timeline_entry
from lambdas.incident.table import RecordToAmend
from lambdas.instance.facts import read_instance
from lambdas.runtime import moment
from lambdas.runtime.environment import RecordKeeping, RescueInstancePlace, TwinTypes, VmcoreBucketName
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.execution import client_token
from lambdas.runtime.execution_input import read_input
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import INCIDENT_TAG
from lambdas.short_lived.launch import marks, network_interface


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input","executionId","executionName"}`, gives what RunInstances needs; raises a named error."""
    given = read_input(AnalysisInput, event["input"])
    record = RecordToAmend(RecordKeeping.read().table_name, given.incident_id)
    incident = known_incident(record.read(), given.incident_id)
    logger.append_keys(incident_id=incident.incident_id, instance_id=incident.instance_id)
    size_bytes = vmcore_bytes(VmcoreBucketName.read().bucket_name, incident)
    launched_from, network = _origin(incident)
    image = read_image(incident.instance_id, launched_from)
    chosen = instance_type(image, TwinTypes.read())
    interface = network_interface(network, incident.instance_id, RescueInstancePlace.read(), machine="AnalyzeVmcore")
    entry = timeline_entry(moment.now(), ANALYSIS_OPENED, event["executionName"])
    if entry["detail"] != event["executionName"]:
        raise InvalidInput("The execution's name has invisible characters.", "Start it again under another name.")
    record.update({}, timeline=[entry])
    logger.info("A twin of %s from %s, %s, for %d bytes", incident.instance_id, image["ImageId"], chosen, size_bytes)
    tags = marks(
        name=f"hangdump twin of {incident.instance_id}",
        execution_name=event["executionName"],
        instance_id=incident.instance_id,
        **{INCIDENT_TAG: incident.incident_id},
    )
    return {
        "imageId": image["ImageId"],
        "instanceType": chosen,
        "blockDevices": disk_for(image, size_bytes),
        "clientToken": client_token(event["executionId"]),
        "networkInterface": interface,
        "tags": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    }


def _origin(incident: Incident) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the instance was launched from, and its network: of the record, or of EC2 for one of an older version."""
    if incident.launched_from and incident.network:
        return incident.launched_from, incident.network
    instance = read_instance(incident.instance_id)
    seen = (instance.launched_from, instance.network) if instance else ({}, {})
    return incident.launched_from or seen[0], incident.network or seen[1]
