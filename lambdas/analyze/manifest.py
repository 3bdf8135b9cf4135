"""Writes the manifest for an analysis host: presigned URLs for the vmcore, the analysis code and its result."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lambdas.incident.object_keys import ANALYSIS, MANIFESTS
from lambdas.incident.record import Incident
from lambdas.runtime.bucket import signing_client, write
from lambdas.runtime.environment import ReaderRole, VmcoreBucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# The package that the host runs; it is beside `lambdas` in the repository and in the functions' bundle.
_PACKAGE = Path(__file__).resolve().parents[2] / "analysis"
# Less than the session, which is a second old when they are signed.
URL_SECONDS = 3590
# The host reads the manifest when it begins.
MANIFEST_SECONDS = 900
_OLDEST = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class _Line:
    kind: str
    size_bytes: int
    url: str

    def as_tsv(self) -> str:
        return f"{self.kind}\t{self.size_bytes}\t{self.url}\n"


def write_manifest(bucket: VmcoreBucket, incident: Incident, size_bytes: int) -> str:
    """Stores the manifest and the analysis code for a day. Returns the URL to read the manifest."""
    names = incident.object_keys
    result = names["vmcore"].removesuffix("vmcore") + ANALYSIS
    place = f"{MANIFESTS}{incident.incident_id}/analysis"
    package = pack()
    write(bucket, f"{place}.zip", package, content_type="application/zip")
    client = _signing_client(bucket, incident, names["vmcore"], result)

    def sign(operation: str, key: str, seconds: int = URL_SECONDS) -> str:
        params = {"Bucket": bucket.bucket_name, "Key": key}
        return client.generate_presigned_url(operation, Params=params, ExpiresIn=seconds)

    lines = [
        _Line("bundle", len(package), sign("get_object", f"{place}.zip")),
        _Line("vmcore", size_bytes, sign("get_object", names["vmcore"])),
        # Do not sign an encryption header: the host would have to send it, and the bucket encrypts by default.
        _Line("result", 0, sign("put_object", result)),
    ]
    text = "".join(line.as_tsv() for line in lines)
    write(bucket, f"{place}.tsv", text, content_type="text/tab-separated-values")
    return sign("get_object", f"{place}.tsv", MANIFEST_SECONDS)


def pack() -> bytes:
    """The package `analysis` as a zip file that Python can import; the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted([*_PACKAGE.glob("*.py"), *_PACKAGE.glob("*.txt")]):
            archive.writestr(zipfile.ZipInfo(f"analysis/{path.name}", _OLDEST), path.read_bytes())
    return buffer.getvalue()


def _signing_client(bucket: VmcoreBucket, incident: Incident, vmcore: str, result: str) -> "S3Client":
    """A client with a session that may only read this vmcore and write this result."""
    objects = f"{bucket.bucket_arn}/"
    readable = [f"{objects}{vmcore}", f"{objects}{MANIFESTS}{incident.incident_id}/*"]
    statements: list[dict[str, object]] = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": readable},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{objects}{result}"},
        {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": bucket.key_arn},
    ]
    return signing_client(
        bucket, ReaderRole.read().reader_role_arn, session=incident.incident_id, statements=statements
    )
