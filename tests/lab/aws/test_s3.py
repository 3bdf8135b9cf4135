"""Uploads that S3 checks, through presigned URLs as an instance uses them."""

import base64
import hashlib
import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.aws.account import LabAccount

BUCKET = "vmcores"
MIB = 1 << 20
# S3 takes no part below 5 MiB but the last.
PARTS = [b"a" * (5 * MIB), b"b" * 1000]


@pytest.fixture(scope="module")
def account() -> Iterator[LabAccount]:
    with LabAccount(time_scale=0.01) as started:
        location: Any = {"LocationConstraint": started.region}
        started.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        yield started


def _digest(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


COMPOSITE = _digest(b"".join(hashlib.sha256(part).digest() for part in PARTS)) + "-2"


def _signer(endpoint_url: str, account: LabAccount) -> Any:
    return boto3.client(
        "s3",
        region_name=account.region,
        endpoint_url=endpoint_url,
        aws_access_key_id="AKIALABCLIENT",
        aws_secret_access_key="lab-client-secret",  # noqa: S106 - of the account on loopback
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def _put(url: str, body: bytes, **headers: str) -> dict[str, str]:
    request = urllib.request.Request(url, data=body, method="PUT", headers=headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        return {name.lower(): value for name, value in answer.headers.items()}


def _as_instance(account: LabAccount, url: str) -> tuple[str, dict[str, str]]:
    """The URL for 10.0.2.100 as it arrives through the guest's network: another address, the same Host."""
    return url.replace("http://10.0.2.100", f"http://127.0.0.1:{account.instance_port}"), {"Host": "10.0.2.100"}


def _start(account: LabAccount, key: str) -> str:
    upload: str = account.client("s3").create_multipart_upload(Bucket=BUCKET, Key=key, ChecksumAlgorithm="SHA256")[
        "UploadId"
    ]
    return upload


def _part_url(account: LabAccount, key: str, upload_id: str, number: int, digest: str) -> str:
    params = {"Bucket": BUCKET, "Key": key, "UploadId": upload_id, "PartNumber": number, "ChecksumSHA256": digest}
    url: str = _signer("http://10.0.2.100", account).generate_presigned_url("upload_part", Params=params, ExpiresIn=60)
    return url


def _upload(account: LabAccount, key: str) -> tuple[str, list[Any]]:
    """All parts, sent as an instance does; gives the upload and what ListParts says."""
    upload_id = _start(account, key)
    for number, part in enumerate(PARTS, start=1):
        url, headers = _as_instance(account, _part_url(account, key, upload_id, number, _digest(part)))
        _put(url, part, **headers, **{"x-amz-checksum-sha256": _digest(part)})
    return upload_id, account.client("s3").list_parts(Bucket=BUCKET, Key=key, UploadId=upload_id)["Parts"]


def _complete(account: LabAccount, key: str, upload_id: str, parts: list[Any]) -> Any:
    wanted = [{name: part[name] for name in ("PartNumber", "ETag", "ChecksumSHA256")} for part in parts]
    return account.client("s3").complete_multipart_upload(
        Bucket=BUCKET, Key=key, UploadId=upload_id, MultipartUpload={"Parts": wanted}
    )


def test_an_upload_by_presigned_parts_ends_in_the_composite_checksum(account: LabAccount) -> None:
    upload_id, parts = _upload(account, "whole")
    assert [(p["PartNumber"], p["Size"], p["ChecksumSHA256"]) for p in parts] == [
        (1, 5 * MIB, _digest(PARTS[0])),
        (2, 1000, _digest(PARTS[1])),
    ]
    assert _complete(account, "whole", upload_id, parts)["ChecksumSHA256"] == COMPOSITE
    s3 = account.client("s3")
    head = s3.head_object(Bucket=BUCKET, Key="whole", ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ChecksumSHA256"]) == (5 * MIB + 1000, COMPOSITE)
    assert s3.get_object(Bucket=BUCKET, Key="whole")["Body"].read() == b"".join(PARTS)
    attributes = s3.get_object_attributes(Bucket=BUCKET, Key="whole", ObjectAttributes=["Checksum", "ObjectSize"])
    assert (attributes["ObjectSize"], attributes["Checksum"]["ChecksumSHA256"]) == (5 * MIB + 1000, COMPOSITE[:-2])


def test_a_part_that_is_not_what_its_checksum_says_is_refused(account: LabAccount) -> None:
    upload_id = _start(account, "bad")
    url, headers = _as_instance(account, _part_url(account, "bad", upload_id, 1, _digest(b"good")))
    with pytest.raises(HTTPError) as refused:
        _put(url, b"evil", **headers, **{"x-amz-checksum-sha256": _digest(b"good")})
    assert refused.value.code == 400
    assert b"BadDigest" in refused.value.read()
    assert "Parts" not in account.client("s3").list_parts(Bucket=BUCKET, Key="bad", UploadId=upload_id)


def test_a_part_without_the_checksum_that_the_upload_demands_is_refused(account: LabAccount) -> None:
    upload_id, s3 = _start(account, "bare"), account.client("s3", Config(request_checksum_calculation="when_required"))
    with pytest.raises(ClientError, match="InvalidRequest"):
        s3.upload_part(Bucket=BUCKET, Key="bare", UploadId=upload_id, PartNumber=1, Body=b"x")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda parts: [{**parts[0], "ChecksumSHA256": _digest(b"x")}, parts[1]], "InvalidPart"),
        (lambda parts: parts[::-1], "InvalidPartOrder"),
        (lambda parts: [*parts, {**parts[1], "PartNumber": 3}], "InvalidPart"),
    ],
    ids=["another checksum", "wrong order", "a part that was never sent"],
)
def test_completing_with_other_parts_than_were_sent_is_refused(account: LabAccount, change: Any, code: str) -> None:
    upload_id, parts = _upload(account, "incomplete")
    with pytest.raises(ClientError, match=code):
        _complete(account, "incomplete", upload_id, change(parts))


def test_an_unknown_upload_is_an_error_of_s3(account: LabAccount) -> None:
    s3 = account.client("s3")
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.list_parts(Bucket=BUCKET, Key="whole", UploadId="nothing")
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.upload_part(Bucket=BUCKET, Key="whole", UploadId="nothing", PartNumber=1, Body=b"x")


def test_an_object_with_a_wrong_checksum_is_refused_and_one_with_a_right_one_keeps_it(account: LabAccount) -> None:
    s3 = account.client("s3")
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=BUCKET, Key="small", Body=b"x", ChecksumSHA256=_digest(b"y"))
    s3.put_object(Bucket=BUCKET, Key="small", Body=b"x", ChecksumSHA256=_digest(b"x"))
    head = s3.head_object(Bucket=BUCKET, Key="small", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == _digest(b"x")


def test_an_expired_url_is_refused(account: LabAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key="manifest", Body=b"x")
    url = _signer(account.endpoint_url, account).generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "manifest"}, ExpiresIn=3
    )
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        assert answer.read() == b"x"
    monkeypatch.setattr("lab.aws.server.utc_now", lambda: datetime.now(UTC) + timedelta(seconds=5))
    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(url)  # noqa: S310 - loopback
    assert refused.value.code == 403


def test_the_instances_network_reaches_presigned_objects_and_nothing_else(account: LabAccount) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key="manifest", Body=b"x")
    signed = _signer("http://10.0.2.100", account).generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "manifest"}, ExpiresIn=60
    )
    url, headers = _as_instance(account, signed)
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:  # noqa: S310 - loopback
        assert answer.read() == b"x"
    for path in ("", f"{BUCKET}/manifest", "latest/meta-data/", "moto-api/data.json"):
        with pytest.raises(HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{account.instance_port}/{path}")
        assert refused.value.code == 403
    ec2 = boto3.client("ec2", region_name=account.region, endpoint_url=f"http://127.0.0.1:{account.instance_port}")
    with pytest.raises(ClientError) as turned_away:
        ec2.describe_instances()
    assert turned_away.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_bucket_policy_with_conditions_refuses_only_what_they_say(account: LabAccount) -> None:
    s3 = account.client("s3")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    conditions = (
        {"Bool": {"aws:SecureTransport": "false"}},
        {"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}},
    )
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Condition": c} for c in conditions]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    try:
        s3.put_object(Bucket=BUCKET, Key="allowed", Body=b"x")
        with pytest.raises(ClientError, match="403"):
            s3.put_object(Bucket=BUCKET, Key="refused", Body=b"x", ServerSideEncryption="AES256")
    finally:
        s3.delete_bucket_policy(Bucket=BUCKET)
