"""The S3 server's authentication. Signatures are botocore's, so the server is not checked against itself."""

import http.client
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from lab.s3_server import Credentials, S3Server
from lab.s3_server.client import s3_client
from tests.lab.s3 import BUCKET, KEY, code_in, code_of, curl, sha256

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BODY = b"some memory" * 1000


class Clock:
    """The server's."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[S3Server]:
    with S3Server(BUCKET, now=clock.now) as running:
        yield running


def _client(server: S3Server, credentials: Credentials | None = None) -> "S3Client":
    return s3_client(server.endpoint_url, credentials or server.credentials, retries={"total_max_attempts": 1})


def _part_url(server: S3Server, body: bytes = BODY, *, credentials: Credentials | None = None) -> str:
    upload = _client(server).create_multipart_upload(Bucket=BUCKET, Key=KEY, ChecksumAlgorithm="SHA256")
    return _client(server, credentials).generate_presigned_url(
        "upload_part",
        Params={
            "Bucket": BUCKET,
            "Key": KEY,
            "UploadId": upload["UploadId"],
            "PartNumber": 1,
            "ChecksumSHA256": sha256(body),
        },
        ExpiresIn=60,
    )


def _digest_header(body: bytes = BODY) -> tuple[str, str]:
    return "-H", f"x-amz-checksum-sha256: {sha256(body)}"


# --- signed headers


def test_a_signed_put_is_stored_as_it_was_sent(server: S3Server) -> None:
    s3 = _client(server)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, ChecksumSHA256=sha256(BODY))
    got = s3.get_object(Bucket=BUCKET, Key=KEY)
    assert got["Body"].read() == BODY
    assert s3.head_object(Bucket=BUCKET, Key=KEY, ChecksumMode="ENABLED")["ChecksumSHA256"] == sha256(BODY)


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (Credentials(secret_access_key="another"), ("SignatureDoesNotMatch", 403)),  # noqa: S106 - of nobody
        (Credentials(access_key_id="AKIDOFSOMEBODY000000"), ("InvalidAccessKeyId", 403)),
        (Credentials(session_token="of another session"), ("InvalidToken", 400)),  # noqa: S106
    ],
    ids=["secret", "key id", "session token"],
)
def test_wrong_credentials_are_refused(server: S3Server, credentials: Credentials, expected: tuple[str, int]) -> None:
    with pytest.raises(ClientError) as refused:
        _client(server, credentials).put_object(Bucket=BUCKET, Key=KEY, Body=BODY)
    assert code_of(refused.value) == expected


def test_a_session_token_that_belongs_to_the_key_is_accepted() -> None:
    with S3Server(BUCKET, credentials=Credentials(session_token="long+one/=")) as server:  # noqa: S106
        assert curl(_part_url(server), *_digest_header(), body=BODY)[0] == 200


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_more_than_15_minutes_off_is_refused(server: S3Server, clock: Clock, minutes: int) -> None:
    clock.ahead = timedelta(minutes=minutes)
    with pytest.raises(ClientError) as refused:
        _client(server).list_objects_v2(Bucket=BUCKET)
    assert code_of(refused.value) == ("RequestTimeTooSkewed", 403)


def _signed_put(server: S3Server, *, change: dict[str, str], body: bytes = BODY) -> tuple[int, str]:
    """A PUT whose headers were signed by botocore, then changed on the way."""
    sent: dict[str, str] = {}
    s3 = _client(server)

    def note(request: object, **_: object) -> None:
        sent.update({name: str(value) for name, value in request.headers.items()})  # type: ignore[attr-defined]

    s3.meta.events.register("before-send.s3", note)
    s3.put_object(Bucket=BUCKET, Key="k", Body=BODY)
    headers = {
        name: (value[2:-1] if value.startswith("b'") else value)
        for name, value in sent.items()
        if name.lower() not in ("expect", "content-length")
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("PUT", f"/{BUCKET}/k", body=body, headers={**headers, **change})
    answer = connection.getresponse()
    return answer.status, code_in(answer.read().decode())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (200, "")),
        ({"x-amz-meta-by": "a stranger"}, (403, "AccessDenied")),
        ({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, (403, "SignatureDoesNotMatch")),
        ({"Authorization": "AWS4-HMAC-SHA256 nonsense"}, (400, "AuthorizationHeaderMalformed")),
    ],
    ids=["unchanged", "header added", "payload unsigned", "no authorization to speak of"],
)
def test_signed_headers_cannot_be_changed_on_the_way(
    server: S3Server, change: dict[str, str], expected: tuple[int, str]
) -> None:
    assert _signed_put(server, change=change) == expected


def test_another_payload_than_the_signed_one_is_refused(server: S3Server) -> None:
    other = BODY[:-1] + b"!"
    assert _signed_put(server, change={}, body=other) == (400, "XAmzContentSHA256Mismatch")


def test_nothing_is_given_to_the_anonymous(server: S3Server) -> None:
    status, answer = curl(f"{server.endpoint_url}/{BUCKET}/k")
    assert (status, code_in(answer)) == (403, "AccessDenied")


# --- presigned


def test_a_part_goes_to_its_presigned_url_without_credentials(server: S3Server) -> None:
    assert curl(_part_url(server), *_digest_header(), body=BODY)[0] == 200


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("partNumber=1", "partNumber=2", "SignatureDoesNotMatch"),
        ("a%20key", "a%20kex", "SignatureDoesNotMatch"),
        ("X-Amz-Expires=60", "X-Amz-Expires=600", "SignatureDoesNotMatch"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801", "AuthorizationQueryParametersError"),
        ("us-east-1", "eu-west-1", "AuthorizationQueryParametersError"),
        ("X-Amz-Expires=60&", "", "AuthorizationQueryParametersError"),
    ],
    ids=["part", "key", "expiry", "expiry beyond a week", "Region", "no expiry"],
)
def test_an_altered_url_is_refused(server: S3Server, old: str, new: str, expected: str) -> None:
    url = _part_url(server)
    assert old in url
    status, answer = curl(url.replace(old, new), *_digest_header(), body=BODY)
    assert code_in(answer) == expected
    assert status in (400, 403)


def test_a_url_signed_with_another_secret_is_refused(server: S3Server) -> None:
    url = _part_url(server, credentials=Credentials(secret_access_key="another"))  # noqa: S106 - of nobody
    status, answer = curl(url, *_digest_header(), body=BODY)
    assert (status, code_in(answer)) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(("seconds", "expected"), [(55, 200), (65, 403)])
def test_a_url_serves_until_it_expires(server: S3Server, clock: Clock, seconds: int, expected: int) -> None:
    url = _part_url(server)
    clock.ahead = timedelta(seconds=seconds)
    assert curl(url, *_digest_header(), body=BODY)[0] == expected


def test_another_digest_than_the_signed_one_is_refused(server: S3Server) -> None:
    other = b"other memory"
    status, answer = curl(_part_url(server), *_digest_header(other), body=other)
    assert (status, code_in(answer)) == (403, "SignatureDoesNotMatch")


def test_other_bytes_than_those_of_the_signed_digest_are_refused(server: S3Server) -> None:
    status, answer = curl(_part_url(server), *_digest_header(), body=b"!" + BODY[1:])
    assert (status, code_in(answer)) == (400, "BadDigest")


@pytest.mark.parametrize("header", ["x-amz-acl: public-read", "x-amz-meta-a: b"])
def test_a_header_of_s3_that_was_not_signed_is_refused(server: S3Server, header: str) -> None:
    status, answer = curl(_part_url(server), *_digest_header(), "-H", header, body=BODY)
    assert (status, code_in(answer)) == (403, "AccessDenied")


def test_a_presigned_url_names_one_method(server: S3Server) -> None:
    url = _client(server).generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    _client(server).put_object(Bucket=BUCKET, Key=KEY, Body=BODY)
    assert curl(url) == (200, BODY.decode())
    assert code_in(curl(url, body=b"")[1]) == "SignatureDoesNotMatch"


def test_the_host_is_part_of_the_signature(server: S3Server) -> None:
    url = _part_url(server).replace("127.0.0.1", "localhost")
    assert urlsplit(url).hostname == "localhost"
    assert code_in(curl(url, *_digest_header(), body=BODY)[1]) == "SignatureDoesNotMatch"
