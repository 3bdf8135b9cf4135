"""Prepares the analysis of one incident's vmcore on a host that its owner gave for it.

Owns which hosts may read a vmcore, and the manifest: presigned URLs for the dump, for our analysis, for its result.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.incident.object_keys import ANALYSIS
from lambdas.incident.record import Incident
from lambdas.incident.update_expression import deserialize
from lambdas.instance.facts import read_instance, read_ping
from lambdas.runtime import clients
from lambdas.runtime.bucket import code, explain_refusal
from lambdas.runtime.environment import ReaderRole, RecordKeeping, VmcoreBucket
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

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The package that the host runs; beside `lambdas` here as in the functions' bundle.
_PACKAGE = Path(__file__).resolve().parent.parent / "analysis"
# A role that is assumed by another role's session has an hour at most, and its URLs die with it.
SESSION_SECONDS = 3600
# Less than the session, which is a second old when they are signed.
URL_SECONDS = 3590
# Before that the host has begun.
MANIFEST_SECONDS = 900
_OLDEST = (1980, 1, 1, 0, 0, 0)


class AnalysisInput(GivenInput):
    """`{"incidentId", "analysisInstanceId"}`"""

    incident_id: IncidentId
    analysis_instance_id: InstanceId


@dataclass(frozen=True)
class _Line:
    kind: str
    size_bytes: int
    url: str

    def as_tsv(self) -> str:
        return f"{self.kind}\t{self.size_bytes}\t{self.url}\n"


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"input"}`, gives `{"incidentId","analysisInstanceId","manifestUrl"}`; raises what is wrong by name."""
    given = read_input(AnalysisInput, event["input"])
    incident = _read_incident(given.incident_id)
    if incident is None:
        raise InvalidInput(f"There is no incident {given.incident_id}.", "See reports/index.html for their ids.")
    bucket = VmcoreBucket.read()
    try:
        size_bytes = _vmcore_bytes(bucket, incident)
        _require_host(given.analysis_instance_id)
        manifest_url = _write(bucket, incident, size_bytes)
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
    """Not by IncidentTable, which writes as well: this function may only read."""
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
            "Fetch it with CollectVmcore first, if it is still on the instance.",
        ) from error


def _require_host(instance_id: str) -> None:
    host = read_instance(instance_id)
    if host is None:
        raise InstanceNotFound(f"EC2 knows no instance {instance_id} in this account and Region.", "Check the id.")
    if host.tags.get(ANALYSIS_HOST_TAG) != "true":
        raise AnalysisHostRefused(
            f"{instance_id} is not tagged {ANALYSIS_HOST_TAG}=true, and a vmcore is the memory of another machine.",
            "Tag a host on which nobody works who must not read it.",
        )
    if host.state != "running":
        raise InstanceNotRunning(f"The analysis host {instance_id} is {host.state}.", "Start it, then try again.")
    ping = read_ping(instance_id)
    if ping is None or ping.status != "Online":
        raise InstanceNotManaged(
            f"Systems Manager does not reach {instance_id}: {ping.status if ping else 'not registered'}.",
            "Bring its SSM agent back, then try again.",
        )


def _write(bucket: VmcoreBucket, incident: Incident, size_bytes: int) -> str:
    """The manifest and our analysis, where objects live for a day; the URL to read the manifest."""
    names = incident.object_keys
    result = names["vmcore"].removesuffix("vmcore") + ANALYSIS
    place = f"manifests/{incident.incident_id}/analysis"
    package = pack()
    _put(bucket, f"{place}.zip", package, "application/zip")
    client = _signing_client(bucket, incident, names["vmcore"], result)

    def sign(operation: str, key: str, seconds: int = URL_SECONDS) -> str:
        params = {"Bucket": bucket.bucket_name, "Key": key}
        return client.generate_presigned_url(operation, Params=params, ExpiresIn=seconds)

    lines = [
        _Line("bundle", len(package), sign("get_object", f"{place}.zip")),
        _Line("vmcore", size_bytes, sign("get_object", names["vmcore"])),
        # No encryption header is signed: the host would have to send it, and the bucket encrypts by default.
        _Line("result", 0, sign("put_object", result)),
    ]
    _put(bucket, f"{place}.tsv", "".join(line.as_tsv() for line in lines).encode(), "text/tab-separated-values")
    return sign("get_object", f"{place}.tsv", MANIFEST_SECONDS)


def _put(bucket: VmcoreBucket, key: str, data: bytes, content_type: str) -> None:
    clients.s3().put_object(
        Bucket=bucket.bucket_name,
        Key=key,
        Body=data,
        ContentType=content_type,
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=bucket.key_arn,
    )


def pack() -> bytes:
    """The package `analysis`, as Python imports it from a zip file; the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(_PACKAGE.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"analysis/{path.name}", _OLDEST), path.read_bytes())
    return buffer.getvalue()


def _signing_client(bucket: VmcoreBucket, incident: Incident, vmcore: str, result: str) -> "S3Client":
    """As a role of its own, in a session that reads this vmcore and writes this result. Nothing else."""
    objects = f"{bucket.bucket_arn}/"
    readable = [f"{objects}{vmcore}", f"{objects}manifests/{incident.incident_id}/*"]
    statements = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": readable},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{objects}{result}"},
        {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": bucket.key_arn},
    ]
    session = clients.sts().assume_role(
        RoleArn=ReaderRole.read().reader_role_arn,
        RoleSessionName=incident.incident_id[:64],
        DurationSeconds=SESSION_SECONDS,
        Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )["Credentials"]
    credentials = clients.Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    return clients.s3_for_presigning(bucket.upload_endpoint_url, credentials)
