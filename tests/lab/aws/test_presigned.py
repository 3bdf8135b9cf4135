"""Presigned requests: what S3 refuses. The URLs are botocore's, so the signature is not checked against itself."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from lab.aws.presigned import Request, is_presigned, verify

SECRETS = {"AKIATEST": "secret"}
DIGEST = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="


def _request(**changes: Any) -> Request:
    """A PUT of one part as an instance sends it, with what should differ."""
    s3 = boto3.client(
        "s3",
        region_name="eu-central-1",
        endpoint_url="http://10.0.2.100",
        aws_access_key_id=changes.pop("key_id", "AKIATEST"),
        aws_secret_access_key="secret",  # noqa: S106 - of nobody
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    url = s3.generate_presigned_url(
        "upload_part",
        Params={"Bucket": "b", "Key": "a key/ü", "UploadId": "u", "PartNumber": 1, "ChecksumSHA256": DIGEST},
        ExpiresIn=60,
    )
    parts = urlsplit(url)
    headers = {"host": "10.0.2.100", "x-amz-checksum-sha256": DIGEST, "user-agent": "curl/8"}
    sent = {"method": "PUT", "path": parts.path, "query": parts.query, "headers": headers}
    sent["headers"] = {**headers, **changes.pop("headers", {})}
    return Request(**{**sent, **changes})


def _verdict(request: Request, *, later_seconds: int = 0) -> str | None:
    refusal = verify(request, SECRETS, now=datetime.now(UTC) + timedelta(seconds=later_seconds))
    return refusal.code if refusal else None


def test_a_request_as_signed_is_accepted() -> None:
    request = _request()
    assert is_presigned(request.query)
    assert _verdict(request) is None


def test_an_expired_request_is_refused() -> None:
    assert _verdict(_request(), later_seconds=61) == "AccessDenied"


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"x-amz-checksum-sha256": "another"}},
        {"path": "/b/another"},
        {"method": "GET"},
        {"headers": {"host": "127.0.0.1"}},
    ],
    ids=["another digest", "another key", "another method", "another host"],
)
def test_anything_signed_that_was_changed_is_refused(changes: Any) -> None:
    assert _verdict(_request(**changes)) == "SignatureDoesNotMatch"


def test_an_amazon_header_that_was_not_signed_is_refused() -> None:
    assert _verdict(_request(headers={"x-amz-acl": "public-read"})) == "AccessDenied"


def test_an_unknown_key_is_refused() -> None:
    assert _verdict(_request(key_id="AKIAOTHER")) == "InvalidAccessKeyId"


def test_a_query_without_the_rest_of_the_signature_is_refused() -> None:
    assert _verdict(_request(query="X-Amz-Signature=00")) == "AuthorizationQueryParametersError"
