"""Multipart uploads at the S3 server: what completes them, and what does not."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from lab.s3_server import S3Server
from lab.s3_server.checksums import composite
from lab.s3_server.client import s3_client
from tests.lab.s3 import BUCKET, code_of, sha256

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1024 * 1024
PARTS = [os.urandom(size) for size in (5 * MIB, 5 * MIB, 17)]


@pytest.fixture
def server() -> Iterator[S3Server]:
    with S3Server(BUCKET) as running:
        yield running


@pytest.fixture
def s3(server: S3Server) -> "S3Client":
    return s3_client(server.endpoint_url, server.credentials, retries={"total_max_attempts": 1})


@pytest.fixture
def upload_id(s3: "S3Client") -> str:
    return s3.create_multipart_upload(Bucket=BUCKET, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]


def _send(s3: "S3Client", upload_id: str, number: int, body: bytes) -> dict[str, Any]:
    sent = s3.upload_part(
        Bucket=BUCKET, Key="k", UploadId=upload_id, PartNumber=number, Body=body, ChecksumSHA256=sha256(body)
    )
    return {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": sha256(body)}


def _send_all(s3: "S3Client", upload_id: str) -> list[dict[str, Any]]:
    return [_send(s3, upload_id, number, body) for number, body in enumerate(PARTS, start=1)]


def _complete(client: Any, upload_id: str, parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    done: dict[str, Any] = client.complete_multipart_upload(
        Bucket=BUCKET, Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts}, **more
    )
    return done


def _refusal(s3: "S3Client", upload_id: str, parts: list[dict[str, Any]], **more: Any) -> str:
    with pytest.raises(ClientError) as refused:
        _complete(s3, upload_id, parts, **more)
    with pytest.raises(ClientError):
        s3.head_object(Bucket=BUCKET, Key="k")
    return code_of(refused.value)[0]


def test_the_object_is_its_parts_in_order_with_their_composite_digest(s3: "S3Client", upload_id: str) -> None:
    parts = _send_all(s3, upload_id)
    done = _complete(s3, upload_id, parts, MpuObjectSize=sum(map(len, PARTS)))
    expected = composite("sha256", [sha256(body) for body in PARTS])
    assert done["ChecksumSHA256"] == expected
    head = s3.head_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")
    assert (head["ChecksumSHA256"], head["ChecksumType"]) == (expected, "COMPOSITE")
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"".join(PARTS)
    across = s3.get_object(Bucket=BUCKET, Key="k", Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")["Body"].read()
    assert across == PARTS[0][-2:] + PARTS[1][:2]


def test_parts_are_listed_with_digests_page_by_page(s3: "S3Client", upload_id: str) -> None:
    _send_all(s3, upload_id)
    pages = s3.get_paginator("list_parts").paginate(
        Bucket=BUCKET, Key="k", UploadId=upload_id, PaginationConfig={"PageSize": 2}
    )
    listed = [[(part["PartNumber"], part["Size"], part["ChecksumSHA256"]) for part in page["Parts"]] for page in pages]
    described = [(number, len(body), sha256(body)) for number, body in enumerate(PARTS, start=1)]
    assert listed == [described[:2], described[2:]]


def test_a_part_sent_again_replaces_the_first(s3: "S3Client", upload_id: str) -> None:
    first = _send(s3, upload_id, 1, b"first")
    again = _send(s3, upload_id, 1, b"again")
    assert _refusal(s3, upload_id, [first]) == "InvalidPart"
    _complete(s3, upload_id, [again])
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"again"


def test_an_upload_is_not_completed_with_parts_that_do_not_fit(s3: "S3Client", upload_id: str) -> None:
    parts = _send_all(s3, upload_id)
    wrong_digest = {**parts[0], "ChecksumSHA256": sha256(b"")}
    without_digest = {name: value for name, value in parts[0].items() if name != "ChecksumSHA256"}
    missing = {**parts[0], "PartNumber": 4}
    assert _refusal(s3, upload_id, [wrong_digest, *parts[1:]]) == "InvalidPart"
    assert _refusal(s3, upload_id, [without_digest, *parts[1:]]) == "InvalidRequest"
    assert _refusal(s3, upload_id, [*parts, missing]) == "InvalidPart"
    assert _refusal(s3, upload_id, parts[::-1]) == "InvalidPartOrder"
    assert _refusal(s3, upload_id, []) == "MalformedXML"
    assert _refusal(s3, upload_id, parts, MpuObjectSize=1) == "InvalidRequest"


def test_a_small_part_that_is_not_the_last_is_refused(s3: "S3Client", upload_id: str) -> None:
    parts = [_send(s3, upload_id, number, b"small") for number in (1, 2)]
    assert _refusal(s3, upload_id, parts) == "EntityTooSmall"


def test_a_part_without_the_digest_of_its_upload_is_refused(server: S3Server, s3: "S3Client", upload_id: str) -> None:
    with pytest.raises(ClientError) as refused:
        s3.upload_part(Bucket=BUCKET, Key="k", UploadId=upload_id, PartNumber=1, Body=b"a", ChecksumCRC32="6Le+Qw==")
    assert code_of(refused.value) == ("InvalidRequest", 400)
    assert not server.store.uploads[upload_id].parts


def test_an_upload_ends_once(s3: "S3Client", upload_id: str) -> None:
    parts = _send_all(s3, upload_id)
    _complete(s3, upload_id, parts)
    with pytest.raises(ClientError) as refused:
        _complete(s3, upload_id, parts)
    assert code_of(refused.value) == ("NoSuchUpload", 404)


def test_an_aborted_upload_is_gone_with_its_parts(server: S3Server, s3: "S3Client", upload_id: str) -> None:
    _send_all(s3, upload_id)
    s3.abort_multipart_upload(Bucket=BUCKET, Key="k", UploadId=upload_id)
    with pytest.raises(ClientError) as refused:
        s3.list_parts(Bucket=BUCKET, Key="k", UploadId=upload_id)
    assert code_of(refused.value) == ("NoSuchUpload", 404)
    assert not server.store.uploads


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC64NVME"])
def test_a_crc_of_the_full_object_is_combined_from_its_parts(s3: Any, algorithm: str) -> None:
    created = s3.create_multipart_upload(
        Bucket=BUCKET, Key="k", ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT"
    )
    given: dict[str, Any] = {"Bucket": BUCKET, "Key": "k", "UploadId": created["UploadId"], "PartNumber": 1}
    # The published check value of each, over "123456789".
    value = {"CRC32": "y/Q5Jg==", "CRC64NVME": "rosUhgp5mIg="}[algorithm]
    sent = s3.upload_part(**given, Body=b"123456789", **{f"Checksum{algorithm}": value})
    done = _complete(s3, created["UploadId"], [{"PartNumber": 1, "ETag": sent["ETag"]}])
    assert done[f"Checksum{algorithm}"] == value


def test_keys_are_listed_page_by_page(s3: "S3Client") -> None:
    for key in ("a/1", "a/2", "a/3", "b/1"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="a/", PaginationConfig={"PageSize": 2})
    assert [[item["Key"] for item in page["Contents"]] for page in pages] == [["a/1", "a/2"], ["a/3"]]
    s3.delete_object(Bucket=BUCKET, Key="a/1")
    with pytest.raises(ClientError) as missing:
        s3.get_object(Bucket=BUCKET, Key="a/1")
    assert code_of(missing.value) == ("NoSuchKey", 404)
