"""What the URLs of a round can do: each reaches exactly one key, with exactly one content, for a short time."""

import json
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lambdas.runtime.errors import BucketRefused
from lambdas.upload.digest_lists import key_of
from tests.lambdas import account as aws
from tests.lambdas import planning
from tests.lambdas.account import Account
from tests.lambdas.planning import INCIDENT, PREFIX, manifest, next_round, plan
from tests.lambdas.vmcores import DUMP


@pytest.fixture(autouse=True)
def incident(account: Account, small_parts: None) -> None:
    planning.open_incident()


def _query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_each_url_reaches_one_key_one_part_and_signs_the_digest(account: Account, context: Any) -> None:
    upload_id = plan(context)["uploadId"]
    told = manifest(account)
    next_round(account, context)
    names = {"dmesg": f"{PREFIX}vmcore-dmesg.txt", "part": f"{PREFIX}vmcore"}
    for line in (told + manifest(account)).splitlines():
        kind, number, *_, url = line.split("\t")
        split, query = urlsplit(url), _query(url)
        assert split.scheme == "https"
        assert split.hostname == f"{aws.BUCKET}.s3.{aws.REGION}.amazonaws.com"
        batch = (int(number) - 1) // 3
        assert split.path == f"/{names.get(kind) or key_of(INCIDENT, upload_id, batch)}"
        # Nothing else is signed: what is signed, curl has to send.
        signed = "host" if kind == "describe" else "host;x-amz-checksum-sha256"
        assert query["X-Amz-SignedHeaders"] == signed
        assert not [name for name in query if "checksum" in name.lower()], "botocore added a checksum of its own"
        assert int(query["X-Amz-Expires"]) < 3600, "it outlives the session that signed it"
        if kind == "part":
            assert (query["partNumber"], query["uploadId"]) == (number, upload_id)


def test_another_digest_is_another_signature(account: Account, context: Any) -> None:
    upload_id = plan(context)["uploadId"]

    def first_signature() -> str:
        plan(context)
        (line,) = [line for line in manifest(account).splitlines() if line.startswith("part\t1\t")]
        return _query(line.split("\t")[5])["X-Amz-Signature"]

    DUMP.upload(account.bucket, manifest(account))
    first = first_signature()
    key = key_of(INCIDENT, upload_id, 0)
    account.bucket.objects[key].data = DUMP.description(1, bytes(3000), 1000)
    assert first_signature() != first


def test_urls_are_signed_by_a_session_for_this_incident_alone(account: Account, context: Any) -> None:
    upload_id = plan(context)["uploadId"]
    (assumed,) = account.named("AssumeRole")
    assert assumed["DurationSeconds"] == 3600, "more is refused to a role that another role assumes"
    write, read, key = json.loads(assumed["Policy"])["Statement"]
    arn = f"arn:aws:s3:::{aws.BUCKET}/"
    assert write["Action"] == "s3:PutObject"
    assert write["Resource"] == [
        f"{arn}{PREFIX}vmcore",
        f"{arn}{PREFIX}vmcore-dmesg.txt",
        f"{arn}digests/{INCIDENT}/*",
    ]
    assert key_of(INCIDENT, upload_id, 0).startswith(f"digests/{INCIDENT}/")
    assert (read["Action"], read["Resource"]) == ("s3:GetObject", f"{arn}manifests/{INCIDENT}/*")
    assert key["Resource"] == aws.KEY_ARN
    assert len(assumed["Policy"]) <= 2048, "STS takes no longer one"
    url = manifest(account).splitlines()[0].split("\t")[5]
    assert "X-Amz-Security-Token" in _query(url)


def test_nothing_is_signed_when_nothing_is_left(account: Account, context: Any) -> None:
    DUMP.upload_all(account.bucket, lambda: plan(context), lambda: manifest(account))
    account.calls.clear()
    assert plan(context)["isAnythingLeft"] is False
    assert not account.named("AssumeRole")


def test_the_manifest_is_read_by_a_url_that_dies_soon(context: Any) -> None:
    assert int(_query(plan(context)["manifestUrl"])["X-Amz-Expires"]) <= 900


@pytest.mark.parametrize(
    ("endpoint", "start"),
    [
        ("http://10.0.2.100", f"http://10.0.2.100/{aws.BUCKET}/"),
        (
            "https://bucket.vpce-1a-2b.s3.eu-west-1.vpce.amazonaws.com",
            f"https://bucket.vpce-1a-2b.s3.eu-west-1.vpce.amazonaws.com/{aws.BUCKET}/",
        ),
    ],
)
def test_urls_are_made_for_s3_as_the_instance_sees_it(
    account: Account, context: Any, monkeypatch: pytest.MonkeyPatch, endpoint: str, start: str
) -> None:
    monkeypatch.setenv("UPLOAD_ENDPOINT_URL", endpoint)
    planned = plan(context)
    assert planned["manifestUrl"].startswith(f"{start}manifests/")
    next_round(account, context)
    urls = [line.split("\t")[5] for line in manifest(account).splitlines()]
    assert all(url.startswith((f"{start}{PREFIX}", f"{start}digests/{INCIDENT}/")) for url in urls)


def test_no_url_reaches_a_log(
    account: Account, context: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="hangdump")
    plan(context)
    account.fail("PutObject", "AccessDenied")
    with pytest.raises(BucketRefused):
        plan(context)
    logged = capsys.readouterr()
    assert "parts are in S3" in caplog.text, "it does log"
    for text in (logged.out, logged.err, caplog.text):
        assert "X-Amz-Signature" not in text
