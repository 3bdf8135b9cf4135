"""Downloads an incident's vmcore with the caller's credentials.

Where it is, the stack's outputs and the incident's record say. A download that was cut goes on where it ended.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from analysis.errors import AnalysisError

# 20261123T040000Z-i-0123456789abcdef0
_INCIDENT = re.compile(r"(?P<at>[0-9TZ]+)-(?P<instance>i-[0-9a-f]{8,17})(?P<rest>[A-Za-z0-9-]*)")
_CHUNK_BYTES = 8 * 1024**2
Say = Callable[[str], object]
# The client of a service, by its name. `python -m analysis open` has boto3's, the command line botocore's.
Client = Callable[[str], Any]


class IncidentNotFound(AnalysisError):
    """The table knows no such incident, or its vmcore is not in the bucket."""


@dataclass(frozen=True)
class Stored:
    """The vmcore in the bucket."""

    bucket: str
    key: str
    size_bytes: int
    etag: str


def require_incident_id(text: str) -> None:
    """Raises IncidentNotFound for what is no incident's id."""
    if _INCIDENT.fullmatch(text) is None:
        raise IncidentNotFound(f"{text} is no incident id; one looks like 20261123T040000Z-i-0123456789abcdef0")


def find_vmcore(incident_id: str, outputs: Mapping[str, str], client: Client) -> Stored:
    """Finds the vmcore with the stack's outputs and the incident's record; raises IncidentNotFound."""
    require_incident_id(incident_id)
    key = {"pk": {"S": f"incident#{incident_id}"}}
    item = client("dynamodb").get_item(TableName=outputs["IncidentTableName"], Key=key).get("Item")
    if item is None:
        raise IncidentNotFound(
            f"no incident {incident_id} in {outputs['IncidentTableName']}: is this the right Region?"
        )
    account, region, instance = (item.get(each, {}).get("S", "") for each in ("accountId", "region", "instanceId"))
    # The same key as lambdas.incident.object_keys builds; a test compares the two.
    key_of_vmcore = f"vmcores/{account}/{region}/{instance}/{incident_id}/vmcore"
    verdict = item.get("verdict", {}).get("S", "(none yet)")
    return _stored(outputs["VmcoreBucketName"], key_of_vmcore, verdict, client)


def download(stored: Stored, directory: Path, client: Client, *, say: Say) -> Path:
    """Downloads the whole file. Raises IncidentNotFound if the object changed since an interrupted download."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    vmcore, unfinished = directory / "vmcore", directory / f"vmcore.{_safe(stored.etag)}.part"
    if vmcore.exists() and vmcore.stat().st_size == stored.size_bytes:
        return vmcore
    held = unfinished.stat().st_size if unfinished.exists() else 0
    if held < stored.size_bytes:
        answer = _get(stored, held, client)
        # It holds a machine's memory: only the user may read it.
        unfinished.touch(mode=0o600)
        try:
            with unfinished.open("ab") as file:
                _copy(answer["Body"].iter_chunks(_CHUNK_BYTES), file.write, stored.size_bytes, held, say)
        except BaseException as error:  # Ctrl-C as well
            error.add_note(f"{unfinished} is kept: run the command again to continue the download.")
            raise
    if unfinished.stat().st_size != stored.size_bytes:
        raise IncidentNotFound(
            f"{unfinished} has {unfinished.stat().st_size} of {stored.size_bytes} bytes: run it again"
        )
    unfinished.rename(vmcore)
    return vmcore


def _copy(chunks: Iterable[bytes], write: Callable[[bytes], object], total: int, start: int, say: Say) -> None:
    done, said = start, -1
    try:
        for chunk in chunks:
            write(chunk)
            done += len(chunk)
            percent = 100 * done // total
            if percent != said:
                say(f"\r{done / 1024**2:.0f} of {total / 1024**2:.0f} MiB ({percent} %)")
                said = percent
    finally:
        say("\n")


def stack_outputs(stack_name: str, client: Client) -> dict[str, str]:
    """The outputs of the stack; raises IncidentNotFound when it is not Hangdump's."""
    try:
        stacks = client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        raise IncidentNotFound(f"the stack {stack_name} cannot be read: {error}. Name yours with --stack") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}
    if missing := {"IncidentTableName", "VmcoreBucketName"} - outputs.keys():
        raise IncidentNotFound(f"the stack {stack_name} has no output {min(missing)}: name Hangdump's with --stack")
    return outputs


def _stored(bucket: str, key: str, verdict: str, client: Client) -> Stored:
    try:
        head = client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise IncidentNotFound(
            f"no s3://{bucket}/{key}: {error}. The incident's verdict is {verdict}; only captured and rescued ones "
            "have a vmcore. Reading it takes s3:GetObject and kms:Decrypt, which nobody has by default"
        ) from error
    return Stored(bucket, key, head["ContentLength"], head["ETag"].strip('"'))


def _get(stored: Stored, start: int, client: Client) -> Any:
    """The object from byte `start`, if it is still the same one. Reading by version would need s3:GetObjectVersion."""
    wanted = {"Bucket": stored.bucket, "Key": stored.key, "Range": f"bytes={start}-", "IfMatch": f'"{stored.etag}"'}
    try:
        return client("s3").get_object(**wanted)
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        raise IncidentNotFound(f"s3://{stored.bucket}/{stored.key} has just been replaced: run it again") from error


def _safe(etag: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "", etag)[:80]
