"""The tools that a user could use instead, with the settings that their documentation recommends for large files."""

import base64
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from bench.endpoint import BUCKET, Endpoint
from bench.meter import Meter

PEERS = Path(".venv-bench") / "bin"
Upload = Callable[[Meter, Path], None]
# Parts of 64 MiB, so that small requests cost nobody time; the default of 10 connections. Without
# payload_signing_enabled botocore would hash the payload because this server speaks plain HTTP: over HTTPS it relies on
# TLS and a CRC32, so it does here.
AWS_CONFIG = """\
[default]
s3 =
  addressing_style = path
  payload_signing_enabled = false
  max_concurrent_requests = 10
  max_queue_size = 10000
  multipart_threshold = 64MB
  multipart_chunksize = 64MB
"""


def aws_s3_cp(endpoint: Endpoint, scratch: Path) -> Upload:
    """`aws s3 cp`."""
    config = scratch / "aws-config"
    config.write_text(AWS_CONFIG)
    environment = {**endpoint.environment, "AWS_CONFIG_FILE": str(config)}
    options = ["--only-show-errors", "--no-progress", "--endpoint-url", endpoint.url]

    def upload(meter: Meter, file: Path) -> None:
        meter.run([PEERS / "aws", "s3", "cp", *options, file, f"s3://{BUCKET}/aws-s3-cp"], environment)

    return upload


def boto3(endpoint: Endpoint) -> Upload:
    """TransferManager, in a Python that does nothing else."""
    script = Path(__file__).with_name("boto3_upload.py")

    def upload(meter: Meter, file: Path) -> None:
        meter.run([PEERS / "python", script, endpoint.url, file, BUCKET, "boto3"], endpoint.environment)

    return upload


def s5cmd(endpoint: Endpoint) -> Upload:
    """`s5cmd cp`: its own default of 5 connections, parts of 64 MiB."""

    def upload(meter: Meter, file: Path) -> None:
        options = ["--log", "error", "--endpoint-url", endpoint.url]
        target = f"s3://{BUCKET}/s5cmd"
        meter.run([PEERS / "s5cmd", *options, "cp", "--part-size", "64", file, target], endpoint.environment)

    return upload


def plain_put(endpoint: Endpoint) -> Upload:
    """One presigned PUT without a digest: this machine's maximum. S3 itself takes at most 5 GB this way."""

    def upload(meter: Meter, file: Path) -> None:
        url = endpoint.s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "plain-put"})
        _put(meter, file, url)

    return upload


def plain_put_sha256(endpoint: Endpoint) -> Upload:
    """The same with a digest that the client computes first and the server checks: the cost of verification."""

    def upload(meter: Meter, file: Path) -> None:
        hexadecimal = meter.run([*fastest_sha256(), file]).split()
        # openssl: SHA2-256(file)= 0a…   sha256sum: 0a…  file
        digest = next(word for word in hexadecimal if len(word) == 64)
        checksum = base64.b64encode(bytes.fromhex(digest)).decode()
        url = endpoint.s3.generate_presigned_url(
            "put_object", Params={"Bucket": BUCKET, "Key": "plain-put-sha256", "ChecksumSHA256": checksum}
        )
        _put(meter, file, url, "-H", f"x-amz-checksum-sha256: {checksum}")

    return upload


def _put(meter: Meter, file: Path, url: str, *options: str) -> None:
    meter.run(["curl", "-sSf", "-H", "Expect:", *options, "-o", "/dev/null", "-T", file, url])


@cache
def fastest_sha256() -> Sequence[str]:
    """OpenSSL uses the processor's SHA extensions; coreutils does only where it is linked to OpenSSL."""
    candidates = [["sha256sum"], ["openssl", "dgst", "-sha256"]]

    def cpu_seconds(command: Sequence[str]) -> float:
        meter = Meter(samples_memory=False)
        meter.run([*command, sample.name])
        return meter.usage().cpu_seconds

    with tempfile.NamedTemporaryFile() as sample:
        sample.truncate(64 * 1024**2)
        return min((command for command in candidates if shutil.which(command[0])), key=cpu_seconds)


def plot(name: str, rows: Path) -> None:
    """Draws the rows with the peers' Python: Hangdump itself does not need matplotlib."""
    subprocess.run([PEERS / "python", "-m", "bench.plot", name, rows, rows.with_suffix(".png")], check=True)
