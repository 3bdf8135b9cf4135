"""Opens the vmcore in the bucket before it is removed from the instance: `captured` means that somebody can read it.

Reads a few hundred ranges, never the whole. Where vmcore-dmesg.txt lacks what the dump's own log says, that log is
written beside it.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.incident.record import timeline_entry
from lambdas.incident.table import IncidentTable
from lambdas.open_vmcore.bytes_by_range import BytesByRange
from lambdas.open_vmcore.open_dump import OpenedDump, open_dump
from lambdas.runtime import bucket as bucket_objects
from lambdas.runtime import clients, moment
from lambdas.runtime.bucket import explain_refusal
from lambdas.runtime.environment import RecordKeeping, VmcoreBucket
from lambdas.runtime.observability import entry_point, logger
from lambdas.triage.printk import read_log

_LONGEST_LOG_BYTES = 32 * 1024**2


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incident","verified","keys"}`, gives what the dump says of itself; raises VmcoreUnreadable."""
    bucket, verified = VmcoreBucket.read(), event["verified"]
    try:
        opened = open_dump(_file(bucket.bucket_name, verified["key"], verified["sizeBytes"]))
        is_written = _fill_the_gaps(opened, bucket, event["keys"])
    except ClientError as error:
        raise (explain_refusal(error, bucket.bucket_name) or error) from error
    said = f"{opened.format}, Linux {opened.kernel_release} {opened.architecture}".strip()
    entry = timeline_entry(moment.now(), "opened", said)
    IncidentTable(RecordKeeping.read().table_name).update(event["incident"]["incidentId"], {}, timeline=[entry])
    logger.info("Opened %s: %s, %d characters of log", verified["key"], said, len(opened.log))
    return {
        "format": opened.format,
        "architecture": opened.architecture,
        "kernelRelease": opened.kernel_release,
        "buildId": opened.build_id,
        "kaslrOffset": "" if opened.kaslr_offset is None else f"{opened.kaslr_offset:#x}",
        "hasKallsyms": opened.has_kallsyms,
        "panicLine": opened.panic_line,
        "isLogWritten": is_written,
        "problems": list(opened.problems),
    }


def _file(bucket: str, key: str, size_bytes: int) -> BytesByRange:
    def fetch(offset: int, size: int) -> bytes:
        wanted = f"bytes={offset}-{offset + size - 1}"
        return clients.s3().get_object(Bucket=bucket, Key=key, Range=wanted)["Body"].read()

    return BytesByRange(fetch, size_bytes)


def _fill_the_gaps(opened: OpenedDump, bucket: VmcoreBucket, keys: dict[str, str]) -> bool:
    """Whether the dump's own log says a line that the text which came with it does not."""
    text = bucket_objects.read(bucket, keys["dmesg"], longest_bytes=_LONGEST_LOG_BYTES) or b""
    # makedumpfile moves the second line of a record to the right, where the stamp of the first one ends.
    there = {line.text.strip() for line in read_log(text.decode("utf-8", errors="replace")).lines}
    if all(line.text.strip() in there for line in read_log(opened.log).lines):
        return False
    bucket_objects.write(bucket, keys["log"], opened.log, content_type="text/plain; charset=utf-8")
    return True
