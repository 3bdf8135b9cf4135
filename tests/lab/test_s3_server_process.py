"""The S3 server as a process of its own, dropping what is large, as the bench runs it."""

import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from lab.s3_server import Credentials
from lab.s3_server.client import s3_client
from tests.lab.s3 import BUCKET, code_of, sha256

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1024 * 1024
TOKEN = Credentials(session_token="of a session")  # noqa: S106 - opens nothing but this server


@pytest.fixture(scope="module")
def s3() -> "Iterator[S3Client]":
    arguments = ["--bucket", BUCKET, "--discard", "--session-token", str(TOKEN.session_token)]
    with subprocess.Popen(
        [sys.executable, "-m", "lab.s3_server", *arguments], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            yield s3_client(f"http://127.0.0.1:{port}", TOKEN, retries={"total_max_attempts": 1})
        finally:
            server.kill()


def test_small_bodies_are_kept(s3: "S3Client") -> None:
    s3.put_object(Bucket=BUCKET, Key="manifest", Body=b"part\t1")
    assert s3.get_object(Bucket=BUCKET, Key="manifest")["Body"].read() == b"part\t1"


def test_of_large_ones_the_size_and_the_digest_are_kept(s3: "S3Client") -> None:
    body = bytes(2 * MIB)
    s3.put_object(Bucket=BUCKET, Key="large", Body=body, ChecksumSHA256=sha256(body))
    head = s3.head_object(Bucket=BUCKET, Key="large", ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ChecksumSHA256"]) == (2 * MIB, sha256(body))
    with pytest.raises(ClientError) as gone:
        s3.get_object(Bucket=BUCKET, Key="large")
    assert code_of(gone.value) == ("NotImplemented", 501)


def test_large_ones_are_verified_all_the_same(s3: "S3Client") -> None:
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=BUCKET, Key="wrong", Body=bytes(2 * MIB), ChecksumSHA256=sha256(b""))
    assert code_of(refused.value) == ("BadDigest", 400)


def test_another_bucket_does_not_exist(s3: "S3Client") -> None:
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="another", Key="k", Body=b"")
    assert code_of(refused.value) == ("NoSuchBucket", 404)
