"""`python -m analysis open INCIDENT_ID`: downloads the incident's vmcore with your credentials, and opens it.

Where it is, the stack's outputs and the incident's record say. A download that was cut goes on where it ended.
"""

import argparse
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from analysis.analyze import module_files
from analysis.debuginfo import Debuginfo, check_match, find_debuginfo
from analysis.errors import AnalysisError
from analysis.options import add_debuginfo_options, sources_of
from analysis.vmcore import identify, open_vmcore, readable

# 20261123T040000Z-i-0123456789abcdef0
_INCIDENT = re.compile(r"(?P<at>[0-9TZ]+)-(?P<instance>i-[0-9a-f]{8,17})(?P<rest>[A-Za-z0-9-]*)")
_CHUNK_BYTES = 8 * 1024**2
Say = Callable[[str], object]


class IncidentNotFound(AnalysisError):
    """The table knows no such incident, or its vmcore is not in the bucket."""


@dataclass(frozen=True)
class Stored:
    """The vmcore in the bucket."""

    bucket: str
    key: str
    size_bytes: int
    etag: str


def main(arguments: Sequence[str]) -> int:
    """Does not return if it opens a dump: drgn or crash replaces the process. Raises AnalysisError."""
    options = _parser().parse_args(arguments)
    stored = find_vmcore(options.incident_id, stack_name=options.stack)
    directory = options.directory or Path.cwd() / options.incident_id
    vmcore = download(stored, directory, say=_say)
    program = open_vmcore(vmcore)
    identity = identify(program, vmcore)
    debuginfo = find_debuginfo(identity, sources_of(options))
    check_match(identity, debuginfo.kernel)
    with readable(vmcore):
        modules = [] if options.crash else module_files(program, debuginfo)
    command = open_command(vmcore, debuginfo, modules, is_crash=options.crash)
    return os.execvp(command[0], command)  # noqa: S606 - no shell, and the user's own command line


def find_vmcore(incident_id: str, *, stack_name: str) -> Stored:
    """Finds the vmcore with the stack's outputs and the incident's record; raises IncidentNotFound."""
    match = _INCIDENT.fullmatch(incident_id)
    if match is None:
        raise IncidentNotFound(f"{incident_id} is no incident id; one looks like 20261123T040000Z-i-0123456789abcdef0")
    outputs = _stack_outputs(stack_name)
    item = (
        _client("dynamodb")
        .get_item(TableName=outputs["IncidentTableName"], Key={"pk": {"S": f"incident#{incident_id}"}})
        .get("Item")
    )
    if item is None:
        raise IncidentNotFound(
            f"no incident {incident_id} in {outputs['IncidentTableName']}: is this the right Region?"
        )
    account, region, instance = (item.get(each, {}).get("S", "") for each in ("accountId", "region", "instanceId"))
    # The same key as lambdas.incident.object_keys builds; a test compares the two.
    key = f"vmcores/{account}/{region}/{instance}/{incident_id}/vmcore"
    verdict = item.get("verdict", {}).get("S", "(none yet)")
    return _stored(outputs["VmcoreBucketName"], key, verdict)


def download(stored: Stored, directory: Path, *, say: Say) -> Path:
    """Downloads the whole file. Raises IncidentNotFound if the object changed since an interrupted download."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    vmcore, unfinished = directory / "vmcore", directory / f"vmcore.{_safe(stored.etag)}.part"
    if vmcore.exists() and vmcore.stat().st_size == stored.size_bytes:
        return vmcore
    held = unfinished.stat().st_size if unfinished.exists() else 0
    if held < stored.size_bytes:
        answer = _get(stored, held)
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


def open_command(vmcore: Path, debuginfo: Debuginfo, modules: Sequence[str], *, is_crash: bool) -> list[str]:
    """drgn loads the modules' symbols at its start, crash when the user types `mod -S`."""
    if is_crash:
        if shutil.which("crash") is None:
            raise AnalysisError("crash is not installed: apt-get, dnf or zypper install crash, or leave out --crash")
        # crash takes one directory; it finds those of installed packages itself.
        place = [option for each in debuginfo.module_directories[:1] for option in ("--mod", str(each))]
        return ["crash", *place, str(debuginfo.kernel), str(vmcore)]
    symbols = [option for file in (str(debuginfo.kernel), *modules) for option in ("-s", file)]
    return [sys.executable, "-m", "drgn", "-c", str(vmcore), *symbols]


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


def _stack_outputs(stack_name: str) -> dict[str, str]:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - the local analysis needs no boto3

    try:
        stacks = _client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        raise IncidentNotFound(f"the stack {stack_name} cannot be read: {error}. Name yours with --stack") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}
    if missing := {"IncidentTableName", "VmcoreBucketName"} - outputs.keys():
        raise IncidentNotFound(f"the stack {stack_name} has no output {min(missing)}: name Hangdump's with --stack")
    return outputs


def _stored(bucket: str, key: str, verdict: str) -> Stored:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        head = _client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise IncidentNotFound(
            f"no s3://{bucket}/{key}: {error}. The incident's verdict is {verdict}; only captured and rescued ones "
            "have a vmcore. Reading it takes s3:GetObject and kms:Decrypt, which nobody has by default"
        ) from error
    return Stored(bucket, key, head["ContentLength"], head["ETag"].strip('"'))


def _get(stored: Stored, start: int) -> Any:
    """The object from byte `start`, if it is still the same one. Reading by version would need s3:GetObjectVersion."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    wanted = {"Bucket": stored.bucket, "Key": stored.key, "Range": f"bytes={start}-", "IfMatch": f'"{stored.etag}"'}
    try:
        return _client("s3").get_object(**wanted)
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        raise IncidentNotFound(f"s3://{stored.bucket}/{stored.key} has just been replaced: run it again") from error


def _client(service: Literal["cloudformation", "dynamodb", "s3"]) -> Any:
    import boto3  # noqa: PLC0415

    return boto3.client(service)


def _safe(etag: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "", etag)[:80]


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis open", description=__doc__)
    parser.add_argument("incident_id", help="as the notification says it")
    parser.add_argument("--stack", default="Hangdump", help="the stack's name, when it is not Hangdump")
    parser.add_argument("--directory", type=Path, help="where to keep the vmcore; default ./INCIDENT_ID")
    parser.add_argument("--crash", action="store_true", help="open crash instead of drgn")
    add_debuginfo_options(parser)
    return parser
