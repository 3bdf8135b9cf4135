"""Prepares the analysis of an incident's vmcore on a host of the owner's, or on the twin that the execution launched.

Decides which hosts may read a vmcore, and writes the manifest: presigned URLs for the dump, for Hangdump's analysis
code and for its result.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.analyze.manifest import write_manifest
from lambdas.analyze.request import AnalysisInput, known_incident, vmcore_bytes
from lambdas.analyze.twin import why_not_twin
from lambdas.incident.record import Incident
from lambdas.incident.update_expression import deserialize
from lambdas.instance.facts import Instance, read_instance, read_ping
from lambdas.runtime import clients
from lambdas.runtime.bucket import explain_refusal
from lambdas.runtime.environment import RecordKeeping, VmcoreBucket
from lambdas.runtime.errors import (
    AnalysisHostRefused,
    InstanceNotFound,
    InstanceNotManaged,
    InstanceNotRunning,
    InvalidInput,
)
from lambdas.runtime.execution import client_token
from lambdas.runtime.execution_input import read_input
from lambdas.runtime.observability import entry_point, logger
from lambdas.runtime.tags import ANALYSIS_HOST_TAG


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input"}`, and for a twin `{"twin": {"instanceId","executionId","executionName"}}`.

    Gives `{"incidentId","analysisInstanceId","manifestUrl"}`; raises a named error.
    """
    given = read_input(AnalysisInput, event["input"])
    incident = known_incident(_read_incident(given.incident_id), given.incident_id)
    bucket = VmcoreBucket.read()
    size_bytes = vmcore_bytes(bucket.bucket_name, incident)
    host = _admit(given, event.get("twin", {}), incident)
    _require_reachable(host)
    try:
        manifest_url = write_manifest(bucket, incident, size_bytes)
    except ClientError as error:
        raise (explain_refusal(error, bucket.bucket_name) or error) from error
    logger.append_keys(incident_id=incident.incident_id)
    logger.info("%s may read the vmcore, %d bytes", host.instance_id, size_bytes)
    return {
        "incidentId": given.incident_id,
        "analysisInstanceId": host.instance_id,
        "manifestUrl": manifest_url,
    }


def _read_incident(incident_id: str) -> Incident | None:
    """Does not use IncidentTable, which also writes: this function may only read."""
    key = {"pk": {"S": f"incident#{incident_id}"}}
    answer = clients.dynamodb().get_item(TableName=RecordKeeping.read().table_name, Key=key, ConsistentRead=True)
    return Incident.model_validate(deserialize(answer["Item"])) if "Item" in answer else None


def _admit(given: AnalysisInput, twin: dict[str, str], incident: Incident) -> Instance:
    """The host, if it may read the vmcore: given for analyses by its owner, or launched for this one."""
    instance_id = given.analysis_instance_id or twin.get("instanceId", "")
    if not instance_id:
        raise InvalidInput("The input names no analysisInstanceId.", "Start AnalyzeVmcore, which launches a twin.")
    host = read_instance(instance_id)
    if host is None:
        raise InstanceNotFound(f"EC2 knows no instance {instance_id} in this account and Region.", "Check the id.")
    if given.analysis_instance_id:
        if host.tags.get(ANALYSIS_HOST_TAG) != "true":
            raise AnalysisHostRefused(
                f"{instance_id} is not tagged {ANALYSIS_HOST_TAG}=true, and a vmcore is the memory of another machine.",
                "Tag a host whose users may all read the vmcore.",
            )
        return host
    # The record has the name, the launch the token of the id: they must be of one execution.
    if not twin["executionId"].endswith(f":{twin['executionName']}"):
        raise InvalidInput("executionId and executionName are of two executions.", "Start AnalyzeVmcore.")
    token = client_token(twin["executionId"])
    why = why_not_twin(host, incident, execution_name=twin["executionName"], client_token=token)
    if why:
        raise AnalysisHostRefused(
            f"{instance_id} is not the twin of this execution: {why}.", "Start AnalyzeVmcore again."
        )
    return host


def _require_reachable(host: Instance) -> None:
    instance_id = host.instance_id
    if host.state != "running":
        raise InstanceNotRunning(f"The analysis host {instance_id} is {host.state}.", "Start it, then try again.")
    ping = read_ping(instance_id)
    if ping is None or ping.status != "Online":
        raise InstanceNotManaged(
            f"Systems Manager does not reach {instance_id}: {ping.status if ping else 'not registered'}.",
            "Restart its SSM agent, then try again.",
        )
