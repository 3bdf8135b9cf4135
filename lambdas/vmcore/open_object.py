"""Opens a vmcore in the bucket by ranges, and writes its kernel log if vmcore-dmesg.txt is incomplete."""

from lambdas.runtime import bucket as bucket_objects
from lambdas.runtime import clients
from lambdas.runtime.environment import VmcoreBucket
from lambdas.triage.printk import read_log
from lambdas.vmcore.bytes_by_range import BytesByRange
from lambdas.vmcore.open_dump import OpenedDump

_LONGEST_LOG_BYTES = 32 * 1024**2


def open_object(bucket: str, key: str, size_bytes: int) -> BytesByRange:
    def fetch(offset: int, size: int) -> bytes:
        wanted = f"bytes={offset}-{offset + size - 1}"
        return clients.s3().get_object(Bucket=bucket, Key=key, Range=wanted)["Body"].read()

    return BytesByRange(fetch, size_bytes)


def write_missing_log(opened: OpenedDump, bucket: VmcoreBucket, keys: dict[str, str]) -> bool:
    """Writes the dump's own log if it has lines that vmcore-dmesg.txt lacks. Returns whether it did."""
    text = bucket_objects.read(bucket, keys["dmesg"], longest_bytes=_LONGEST_LOG_BYTES) or b""
    # makedumpfile indents the further lines of a record, so compare stripped lines.
    known = {line.text.strip() for line in read_log(text.decode("utf-8", errors="replace")).lines}
    if all(line.text.strip() in known for line in read_log(opened.log).lines):
        return False
    bucket_objects.write(bucket, keys["log"], opened.log, content_type="text/plain; charset=utf-8")
    return True
