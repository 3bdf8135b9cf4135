"""Prepares the analysis of an incident's vmcore on an analysis host.

Decides which hosts may read a vmcore, and writes the manifest: presigned URLs for the dump, for Hangdump's analysis
code and for its result.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.analyze.manifest import write_manifest
from lambdas.incident.record import Incident
from lambdas.incident.update_expression import deserialize
from lambdas.instance.facts import read_instance, read_ping
from lambdas.runtime import clients
from lambdas.runtime.bucket import code, explain_refusal
from lambdas.runtime.environment import RecordKeeping, VmcoreBucket
from lambdas.runtime.errors import (
    AnalysisHostRefused,
    InstanceNotFound,
    InstanceNotManaged,
    InstanceNotRunning,
    InvalidInput,
    VmcoreNotFound,
)
from lambdas.runtime.execution_input import GivenInput, IncidentId, InstanceId, read_input
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import ANALYSIS_HOST_TAG


class AnalysisInput(GivenInput):
    """`{"incidentId", "analysisInstanceId"}`"""

    incident_id: IncidentId
    analysis_instance_id: InstanceId


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input"}`, gives `{"incidentId","analysisInstanceId","manifestUrl"}`; raises a named error."""
    given = read_input(AnalysisInput, event["input"])
    incident = _read_incident(given.incident_id)
    if incident is None:
        raise InvalidInput(f"There is no incident {given.incident_id}.", "reports/index.html lists all incidents.")
    bucket = VmcoreBucket.read()
    try:
        size_bytes = _vmcore_bytes(bucket, incident)
        _require_host(given.analysis_instance_id)
        manifest_url = write_manifest(bucket, incident, size_bytes)
    except ClientError as error:
        raise (explain_refusal(error, bucket.bucket_name) or error) from error
    logger.append_keys(incident_id=incident.incident_id)
    logger.info("%s may read the vmcore, %d bytes", given.analysis_instance_id, size_bytes)
    return {
        "incidentId": given.incident_id,
        "analysisInstanceId": given.analysis_instance_id,
        "manifestUrl": manifest_url,
    }


def _read_incident(incident_id: str) -> Incident | None:
    """Does not use IncidentTable, which also writes: this function may only read."""
    key = {"pk": {"S": f"incident#{incident_id}"}}
    answer = clients.dynamodb().get_item(TableName=RecordKeeping.read().table_name, Key=key, ConsistentRead=True)
    return Incident.model_validate(deserialize(answer["Item"])) if "Item" in answer else None


def _vmcore_bytes(bucket: VmcoreBucket, incident: Incident) -> int:
    key = incident.object_keys["vmcore"]
    try:
        return clients.s3().head_object(Bucket=bucket.bucket_name, Key=key)["ContentLength"]
    except ClientError as error:
        if code(error) not in ("404", "NoSuchKey", "NotFound"):
            raise
        verdict = incident.verdict.value if incident.verdict else "none yet"
        raise VmcoreNotFound(
            f"The vmcore of {incident.incident_id} is not in {bucket.bucket_name}; its verdict is {verdict}.",
            "If the vmcore is still on the instance, fetch it with CollectVmcore first.",
        ) from error


def _require_host(instance_id: str) -> None:
    host = read_instance(instance_id)
    if host is None:
        raise InstanceNotFound(f"EC2 knows no instance {instance_id} in this account and Region.", "Check the id.")
    if host.tags.get(ANALYSIS_HOST_TAG) != "true":
        raise AnalysisHostRefused(
            f"{instance_id} is not tagged {ANALYSIS_HOST_TAG}=true, and a vmcore is the memory of another machine.",
            "Tag a host whose users may all read the vmcore.",
        )
    if host.state != "running":
        raise InstanceNotRunning(f"The analysis host {instance_id} is {host.state}.", "Start it, then try again.")
    ping = read_ping(instance_id)
    if ping is None or ping.status != "Online":
        raise InstanceNotManaged(
            f"Systems Manager does not reach {instance_id}: {ping.status if ping else 'not registered'}.",
            "Restart its SSM agent, then try again.",
        )
