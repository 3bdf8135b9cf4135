"""Opens the vmcore in the bucket before it is removed from the instance: `captured` means that it is readable.

Reads a few hundred ranges, never the whole object. Writes the dump's own kernel log to the bucket if vmcore-dmesg.txt
is missing or incomplete.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.incident.record import timeline_entry
from lambdas.incident.table import RecordToAmend
from lambdas.runtime import moment
from lambdas.runtime.bucket import explain_refusal
from lambdas.runtime.environment import RecordKeeping, VmcoreBucket
from lambdas.runtime.errors import InvalidInput
from lambdas.runtime.observability import entry_point, logger
from lambdas.vmcore.open_dump import open_dump
from lambdas.vmcore.open_object import open_object, write_missing_log


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"incident"}`, gives the dump's own description; raises VmcoreUnreadable.

    The record says where the vmcore is and how large.
    """
    bucket = VmcoreBucket.read()
    record = RecordToAmend(RecordKeeping.read().table_name, event["incident"]["incidentId"])
    incident = record.read()
    if incident is None or incident.upload is None:
        raise InvalidInput("There is no uploaded vmcore to open.", "Start CollectVmcore again.")
    names = incident.object_keys
    try:
        opened = open_dump(open_object(bucket.bucket_name, names["vmcore"], incident.upload.size_bytes))
        is_written = write_missing_log(opened, bucket, names)
    except ClientError as error:
        raise (explain_refusal(error, bucket.bucket_name) or error) from error
    summary = f"{opened.format}, Linux {opened.kernel_release} {opened.architecture}".strip()
    entry = timeline_entry(moment.now(), "opened", summary)
    record.update({}, timeline=[entry])
    logger.info("Opened %s: %s, %d characters of log", names["vmcore"], summary, len(opened.log))
    return {
        "format": opened.format,
        "architecture": opened.architecture,
        "kernelRelease": opened.kernel_release,
        "buildId": opened.build_id,
        "kaslrOffset": "" if opened.kaslr_offset is None else f"{opened.kaslr_offset:#x}",
        "hasKallsyms": opened.has_kallsyms,
        "cpus": opened.cpus,
        "idleCpus": opened.idle_cpus,
        "panicLine": opened.panic_line,
        "isLogWritten": is_written,
        "problems": list(opened.problems),
    }
