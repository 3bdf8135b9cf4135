"""What the instance is given to send: exactly what S3 lacks, to exactly these keys, with exactly this content."""

import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lambdas import clients, plan_upload
from lambdas.errors import BucketRefused, InvalidInput
from lambdas.incident import Incident, State
from lambdas.incident_table import IncidentTable
from lambdas.plan_upload import presign
from lambdas.vmcore_upload import read_found
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.vmcores import DUMP

ID = "i-0123456789abcdef0"
INCIDENT = f"20261123T040000Z-{ID}"
PREFIX = f"vmcores/{aws.ACCOUNT_ID}/{aws.REGION}/{ID}/{INCIDENT}/"


@pytest.fixture(autouse=True)
def incident(account: Account) -> None:
    IncidentTable(aws.TABLE).create(Incident(incident_id=INCIDENT, instance_id=ID, state=State.INTERRUPTED))
    clients.s3_for_presigning.cache_clear()


def plan(context: Any, found: dict[str, Any] | None = None) -> dict[str, Any]:
    opened = {"incidentId": INCIDENT, "instanceId": ID, "keyPrefix": PREFIX}
    return plan_upload.handler({"incident": opened, "found": found or DUMP.found()}, context)


def manifest(account: Account, number: int = 1) -> str:
    return account.bucket.objects[f"manifests/{INCIDENT}/{number}.tsv"].data.decode()


def test_plans_the_log_first_and_then_every_part(account: Account, context: Any) -> None:
    planned = plan(context)
    lines = [line.split("\t") for line in manifest(account).splitlines()]
    assert [(kind, int(number)) for kind, number, *_ in lines] == [("dmesg", 0)] + [("part", n) for n in range(1, 6)]
    assert [(int(offset), int(length)) for _, _, offset, length, *_ in lines[1:]] == [
        (0, 1000),
        (1000, 1000),
        (2000, 1000),
        (3000, 1000),
        (4000, 608),
    ]
    assert planned["remainingParts"] == 6
    assert planned["keys"]["vmcore"] == f"{PREFIX}vmcore"
    assert planned["vmcorePath"] == "/var/crash/202611230400/dump.202611230400"
    assert (planned["sizeBytes"], planned["modifiedEpoch"]) == (4608, 1_795_406_450)


def test_the_upload_is_encrypted_with_our_key_and_keeps_digests(account: Account, context: Any) -> None:
    upload = account.bucket.uploads[plan(context)["uploadId"]]
    assert upload.key == f"{PREFIX}vmcore"
    assert upload.parameters["ServerSideEncryption"] == "aws:kms"
    assert upload.parameters["SSEKMSKeyId"] == aws.KEY_ARN
    assert upload.parameters["ChecksumAlgorithm"] == "SHA256"
    written = account.bucket.objects[f"manifests/{INCIDENT}/1.tsv"].parameters
    assert (written["ServerSideEncryption"], written["SSEKMSKeyId"]) == ("aws:kms", aws.KEY_ARN)


def test_each_url_reaches_one_key_one_part_and_signs_the_digest(account: Account, context: Any) -> None:
    upload_id = plan(context)["uploadId"]
    for line in manifest(account).splitlines():
        kind, number, _, _, _, url = line.split("\t")
        split = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        assert split.scheme == "https"
        assert split.hostname == f"{aws.BUCKET}.s3.{aws.REGION}.amazonaws.com"
        assert split.path == f"/{PREFIX}{'vmcore-dmesg.txt' if kind == 'dmesg' else 'vmcore'}"
        # Nothing else is signed: what is signed, curl has to send.
        assert query["X-Amz-SignedHeaders"] == "host;x-amz-checksum-sha256"
        assert not [name for name in query if "checksum" in name.lower()], "botocore added a checksum of its own"
        assert int(query["X-Amz-Expires"]) <= 3600
        if kind == "part":
            assert (query["partNumber"], query["uploadId"]) == (number, upload_id)


def test_another_digest_is_another_signature(account: Account) -> None:
    signer = presign.Signer(aws.BUCKET, endpoint_url="")
    vmcore = read_found(DUMP.found()).vmcore
    assert vmcore is not None
    digests = (vmcore.part_digests[1], *vmcore.part_digests[1:])
    other = vmcore.model_copy(update={"part_digests": digests})

    def signature(described: Any) -> str:
        (line,) = signer.parts("key", described, upload_id="u", missing=[1])
        return parse_qs(urlsplit(line.url).query)["X-Amz-Signature"][0]

    assert signature(vmcore) != signature(other)


def test_the_manifest_is_read_by_a_url_that_dies_soon(context: Any) -> None:
    query = parse_qs(urlsplit(plan(context)["manifestUrl"]).query)
    assert int(query["X-Amz-Expires"][0]) <= 900


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
    assert all(line.split("\t")[5].startswith(f"{start}{PREFIX}") for line in manifest(account).splitlines())


def test_an_upload_that_broke_off_is_resumed_with_what_is_missing(account: Account, context: Any) -> None:
    first = plan(context)
    DUMP.upload(account.bucket, manifest(account), only=4)
    second = plan(context)
    assert second["uploadId"] == first["uploadId"]
    assert second["remainingParts"] == 2
    assert [line.split("\t")[1] for line in manifest(account, 2).splitlines()] == ["4", "5"]
    DUMP.upload(account.bucket, manifest(account, 2))
    done = plan(context)
    assert (done["remainingParts"], done["manifestUrl"]) == (0, "none")


def test_a_part_that_s3_holds_wrongly_is_sent_again(account: Account, context: Any) -> None:
    upload = account.bucket.uploads[plan(context)["uploadId"]]
    DUMP.upload(account.bucket, manifest(account))
    upload.parts[3].digest = upload.parts[1].digest
    assert plan(context)["remainingParts"] == 1
    assert [line.split("\t")[1] for line in manifest(account, 2).splitlines()] == ["3"]


def test_another_vmcore_starts_another_upload_and_aborts_the_old_one(account: Account, context: Any) -> None:
    old = plan(context)["uploadId"]
    newer = DUMP.found()
    newer["vmcore"]["modifiedEpoch"] += 60
    new = plan(context, newer)["uploadId"]
    assert new != old
    assert list(account.bucket.uploads) == [new]


def test_an_upload_that_is_gone_is_started_again(account: Account, context: Any) -> None:
    account.bucket.uploads.pop(plan(context)["uploadId"])
    planned = plan(context)
    assert list(account.bucket.uploads) == [planned["uploadId"]]
    assert planned["remainingParts"] == 6


def test_of_an_incomplete_vmcore_only_the_log_is_sent(account: Account, context: Any) -> None:
    found = DUMP.found() | {"status": "incomplete", "vmcore": {"path": "/var/crash/1/dump-incomplete", "sizeBytes": 9}}
    planned = plan(context, found)
    assert planned["remainingParts"] == 1
    assert "uploadId" not in planned
    assert account.bucket.uploads == {}
    DUMP.upload(account.bucket, manifest(account))
    assert plan(context, found)["remainingParts"] == 0


def test_a_vmcore_without_a_log_is_sent_alone(account: Account, context: Any) -> None:
    assert plan(context, DUMP.found() | {"dmesg": None})["remainingParts"] == 5


def test_no_more_is_signed_than_can_be_sent_before_the_urls_die(
    account: Account, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presign, "BATCH_BYTES", 2500)
    planned = plan(context)
    assert planned["remainingParts"] == 6
    assert [line.split("\t")[1] for line in manifest(account).splitlines()] == ["0", "1", "2"]


def test_a_part_larger_than_the_batch_is_signed_all_the_same(
    account: Account, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presign, "BATCH_BYTES", 10)
    plan(context)
    assert [line.split("\t")[1] for line in manifest(account).splitlines()] == ["0", "1"]


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("HeadObject", "403"),
        ("CreateMultipartUpload", "AccessDenied"),
        ("CreateMultipartUpload", "NoSuchBucket"),
        ("CreateMultipartUpload", "KMS.DisabledException"),
        ("PutObject", "AccessDenied"),
    ],
)
def test_a_bucket_that_refuses_is_named_with_what_to_check(
    account: Account, context: Any, operation: str, code: str
) -> None:
    account.fail(operation, code)
    with pytest.raises(BucketRefused) as raised:
        plan(context)
    assert f"The bucket {aws.BUCKET} refused {operation}: {code}" in str(raised.value)
    assert "KMS key" in str(raised.value)
    assert "still on the instance" in str(raised.value)


def _broken(**changes: Any) -> dict[str, Any]:
    found = DUMP.found()
    found["vmcore"] |= changes
    return found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param({"vmcore": None}, "status", id="no-status"),
        pytest.param(_broken(sizeBytes=9999), "has 10 parts of 1000 bytes, but 5 digests", id="digests-missing"),
        pytest.param(_broken(partBytes=0), "has 0 parts", id="no-part-size"),
        pytest.param(_broken(partDigests=["x\tdmesg\t0"]), "vmcore.partDigests.0", id="digest-is-none"),
    ],
)
def test_a_description_that_does_not_add_up_is_refused(context: Any, found: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        plan(context, found)
    assert said in str(raised.value)


def test_an_unknown_incident_is_an_error(context: Any) -> None:
    event = {"incident": {"incidentId": "nowhere", "keyPrefix": PREFIX}, "found": DUMP.found()}
    with pytest.raises(InvalidInput, match="No incident nowhere"):
        plan_upload.handler(event, context)


def test_no_url_reaches_a_log(
    account: Account, context: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="hangdump")
    plan(context)
    account.fail("PutObject", "AccessDenied")
    with pytest.raises(BucketRefused):
        plan(context)
    logged = capsys.readouterr()
    assert "parts are missing" in caplog.text, "it does log"
    for text in (logged.out, logged.err, caplog.text):
        assert "X-Amz-Signature" not in text
