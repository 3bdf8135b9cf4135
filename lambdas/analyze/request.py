"""The request for an analysis: its input, the incident's record and the size of its vmcore."""

from botocore.exceptions import ClientError

from lambdas.incident.record import Incident
from lambdas.runtime import clients
from lambdas.runtime.bucket import explain_refusal
from lambdas.runtime.errors import InvalidInput, VmcoreNotFound
from lambdas.runtime.execution_input import GivenInput, IncidentId, InstanceId


class AnalysisInput(GivenInput):
    """`{"incidentId"}`, and `analysisInstanceId` for a host of the owner's; without it a twin is launched."""

    incident_id: IncidentId
    analysis_instance_id: InstanceId | None = None


def known_incident(incident: Incident | None, incident_id: str) -> Incident:
    """Raises InvalidInput for an incident without a record."""
    if incident is None:
        raise InvalidInput(f"There is no incident {incident_id}.", "reports/index.html lists all incidents.")
    return incident


def vmcore_bytes(bucket_name: str, incident: Incident) -> int:
    """The size of the incident's vmcore in the bucket. Raises VmcoreNotFound, BucketRefused.

    Lists it instead of HeadObject, which takes the right to read it, and the key.
    """
    key = incident.object_keys["vmcore"]
    try:
        listed = clients.s3().list_objects_v2(Bucket=bucket_name, Prefix=key, MaxKeys=1).get("Contents", [])
    except ClientError as error:
        raise (explain_refusal(error, bucket_name) or error) from error
    # Other objects of the incident begin with the same name: vmcore-dmesg.txt.
    if not listed or listed[0]["Key"] != key:
        verdict = incident.verdict.value if incident.verdict else "none yet"
        raise VmcoreNotFound(
            f"The vmcore of {incident.incident_id} is not in {bucket_name}; its verdict is {verdict}.",
            "If the vmcore is still on the instance, fetch it with CollectVmcore first.",
        )
    return listed[0]["Size"]
