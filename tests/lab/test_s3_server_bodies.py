"""What the S3 server holds a body to: digests, chunks, parts; and how it goes wrong when told to."""

import base64
import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.exceptions import ClientError, ConnectionClosedError

from lab.s3_server import Answer, Expire, Fault, FlipByte, LoseAnswer, Reset, S3Server, checksums
from lab.s3_server.client import s3_client
from lab.s3_server.credentials import REGION
from tests.lab.s3 import BUCKET, code_in, code_of, curl, files_in, sha256

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1024 * 1024
BODY = os.urandom(2 * MIB + 5)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    with S3Server(BUCKET, directory=tmp_path, smallest_part_bytes=MIB) as running:
        yield running


@pytest.fixture
def s3(server: S3Server) -> "S3Client":
    return s3_client(server.endpoint_url, server.credentials, retries={"total_max_attempts": 1})


@pytest.mark.parametrize(
    ("algorithm", "of_123456789"),
    # The check values of the catalogue of CRC algorithms.
    [("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")],
)
def test_checksums_have_their_published_check_value(algorithm: str, of_123456789: str) -> None:
    checksum = checksums.new(algorithm)
    checksum.update(b"1234")
    checksum.update(b"56789")
    assert checksum.digest().hex() == of_123456789
    parts = []
    for text in (b"1234", b"56789"):
        part = checksums.new(algorithm)
        part.update(text)
        parts.append((checksums.encoded(part), len(text)))
    assert checksums.combined(algorithm, parts) == checksums.encoded(checksum)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ChecksumSHA256": sha256(BODY)}, None),
        ({"ChecksumSHA256": sha256(b"")}, "BadDigest"),
        ({"ChecksumCRC32": base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()}, None),
        ({"ChecksumCRC32": "AAAAAA=="}, "BadDigest"),
        ({"ChecksumCRC32C": "AAAAAA=="}, "BadDigest"),
        ({"ChecksumSHA256": "AAAAAA=="}, "InvalidRequest"),
        ({"ContentMD5": base64.b64encode(hashlib.md5(BODY).digest()).decode()}, None),  # noqa: S324 - S3's header
        ({"ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"),
        ({"ContentMD5": "AAAA"}, "InvalidDigest"),
    ],
)
def test_a_body_is_held_to_the_digest_that_came_with_it(
    s3: "S3Client", tmp_path: Path, given: dict[str, Any], expected: str | None
) -> None:
    if expected is None:
        s3.put_object(Bucket=BUCKET, Key="k", Body=BODY, **given)
        assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == BODY
        return
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=BUCKET, Key="k", Body=BODY, **given)
    assert code_of(refused.value) == (expected, 400)
    assert files_in(tmp_path) == []


# --- aws-chunked


def _chunked(server: S3Server, *, is_signed: bool, has_trailer: bool, damage: str = "") -> tuple[int, str]:
    """A PUT in two chunks, framed and signed after the description in the API reference."""
    kind = "AWS4-HMAC-SHA256-PAYLOAD" if is_signed else "UNSIGNED-PAYLOAD"
    credentials = server.credentials
    auth = S3SigV4Auth(BotocoreCredentials(credentials.access_key_id, credentials.secret_access_key), "s3", REGION)
    url = f"{server.endpoint_url}/{BUCKET}/k"
    headers = {
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(BODY) + (1 if damage == "length" else 0)),
        "X-Amz-Content-SHA256": f"STREAMING-{kind}{'-TRAILER' if has_trailer else ''}",
        **({"x-amz-trailer": "x-amz-checksum-sha256"} if has_trailer else {}),
    }
    request = AWSRequest("PUT", url, headers=headers)
    # Kept by botocore when it is there already; it is what is signed.
    request.context["payload_signing_enabled"] = True
    auth.payload = lambda _: headers["X-Amz-Content-SHA256"]  # type: ignore[method-assign, assignment]
    auth.add_auth(request)
    previous = request.headers["Authorization"].rpartition("Signature=")[2]

    def sign(algorithm: str, *hashes: str) -> str:
        nonlocal previous
        scope = auth.credential_scope(request)
        text = "\n".join([algorithm, request.context["timestamp"], scope, previous, *hashes])
        previous = auth.signature(text, request)
        return "0" * 64 if damage == "signature" else previous

    body, empty = b"", hashlib.sha256().hexdigest()
    for piece in (BODY[:MIB], BODY[MIB:], b""):
        signature = sign("AWS4-HMAC-SHA256-PAYLOAD", empty, hashlib.sha256(piece).hexdigest()) if is_signed else ""
        line = f"{len(piece):x}" + (f";chunk-signature={signature}" if is_signed else "")
        body += line.encode() + b"\r\n" + piece + (b"\r\n" if piece else b"")
    if has_trailer:
        trailer = f"x-amz-checksum-sha256:{sha256(b'' if damage == 'trailer' else BODY)}"
        body += trailer.encode() + b"\r\n"
        if is_signed:
            hashed = hashlib.sha256(trailer.encode() + b"\n").hexdigest()
            body += f"x-amz-trailer-signature:{sign('AWS4-HMAC-SHA256-TRAILER', hashed)}\r\n".encode()
    body += b"\r\n"
    sent = [argument for name, value in request.headers.items() for argument in ("-H", f"{name}: {value}")]
    status, answer = curl(url, *sent, body=body)
    return status, code_in(answer)


# S3 knows no mode without signatures and without a trailer.
@pytest.mark.parametrize(("is_signed", "has_trailer"), [(True, False), (True, True), (False, True)])
def test_a_chunked_body_is_stored_without_its_frames(
    server: S3Server, s3: "S3Client", *, is_signed: bool, has_trailer: bool
) -> None:
    assert _chunked(server, is_signed=is_signed, has_trailer=has_trailer) == (200, "")
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == BODY


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("signature", (403, "SignatureDoesNotMatch")),
        ("trailer", (400, "BadDigest")),
        ("length", (400, "IncompleteBody")),
    ],
)
def test_a_damaged_chunked_body_is_refused(server: S3Server, damage: str, expected: tuple[int, str]) -> None:
    assert _chunked(server, is_signed=True, has_trailer=True, damage=damage) == expected
    assert not server.store.objects[BUCKET]


# --- faults


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Reset(after_bytes=MIB), (0, "")),
        (Reset(after_bytes=len(BODY) + 1), (0, "")),
        (Answer("InternalError"), (500, "InternalError")),
        (Answer("SlowDown"), (503, "SlowDown")),
        (FlipByte(offset=MIB + 3), (400, "BadDigest")),
        (Expire(), (403, "AccessDenied")),
    ],
    ids=str,
)
def test_a_fault_hits_one_request_and_leaves_nothing(
    server: S3Server, s3: "S3Client", tmp_path: Path, fault: Fault, expected: tuple[int, str]
) -> None:
    url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "k", "ChecksumSHA256": sha256(BODY)})
    digest = f"x-amz-checksum-sha256: {sha256(BODY)}"
    server.faults.add(fault, operation="PutObject")
    status, answer = curl(url, "-H", digest, body=BODY)
    assert (status, code_in(answer)) == expected
    assert files_in(tmp_path) == []
    assert curl(url, "-H", digest, body=BODY)[0] == 200


def test_a_lost_answer_is_that_of_a_request_carried_out(server: S3Server, s3: "S3Client") -> None:
    server.faults.add(LoseAnswer())
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=BUCKET, Key="k", Body=BODY)
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == BODY


def test_a_byte_that_flips_unseen_is_stored_flipped(server: S3Server, s3: "S3Client") -> None:
    url = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "k"})
    server.faults.add(FlipByte(offset=7))
    assert curl(url, body=BODY)[0] == 200
    stored = s3.get_object(Bucket=BUCKET, Key="k")["Body"].read()
    assert [index for index in range(len(BODY)) if stored[index] != BODY[index]] == [7]


def test_boto3_gets_through_a_burst_of_errors(server: S3Server, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(BODY * 4)
    server.faults.add(Answer("SlowDown"), operation="UploadPart", times=2)
    server.faults.add(Reset(after_bytes=1000), operation="UploadPart", part_number=1)
    patient = s3_client(server.endpoint_url, server.credentials, retries={"total_max_attempts": 5})
    config = TransferConfig(multipart_threshold=MIB, multipart_chunksize=5 * MIB)
    patient.upload_file(str(source), BUCKET, "k", Config=config)
    assert patient.get_object(Bucket=BUCKET, Key="k")["Body"].read() == BODY * 4
    assert [status for name, _, status in server.requests if name == "UploadPart"] == [503, 503, 200, 200]
