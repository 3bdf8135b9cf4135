"""What the instance is given to send: exactly what S3 lacks, to exactly these keys, with exactly this content."""

import json
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lambdas import plan_upload
from lambdas.digest_lists import key_of
from lambdas.errors import BucketRefused, InvalidInput
from lambdas.incident import Incident, State
from lambdas.incident_table import IncidentTable
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.vmcores import DUMP

ID = "i-0123456789abcdef0"
INCIDENT = f"20261123T040000Z-{ID}"
PREFIX = f"vmcores/{aws.ACCOUNT_ID}/{aws.REGION}/{ID}/{INCIDENT}/"


@pytest.fixture(autouse=True)
def incident(account: Account, small_parts: None) -> None:
    IncidentTable(aws.TABLE).create(Incident(incident_id=INCIDENT, instance_id=ID, state=State.INTERRUPTED))


def plan(context: Any, found: dict[str, Any] | None = None, *, number: int = 0) -> dict[str, Any]:
    opened = {"incidentId": INCIDENT, "instanceId": ID, "keyPrefix": PREFIX}
    return plan_upload.handler({"incident": opened, "found": found or DUMP.found(), "round": number}, context)


def manifest(account: Account) -> str:
    """The last one."""
    number = sum(key.startswith(f"manifests/{INCIDENT}/") for key in account.bucket.objects)
    return account.bucket.objects[f"manifests/{INCIDENT}/{number}.tsv"].data.decode()


def lines(account: Account) -> list[tuple[str, int]]:
    """Kind and number of each line of the last manifest."""
    split = (line.split("\t") for line in manifest(account).splitlines())
    return [(kind, int(number)) for kind, number, *_ in split]


def next_round(account: Account, context: Any, *, only: int | None = None) -> dict[str, Any]:
    """The instance does what the last manifest says, and the next round is planned."""
    DUMP.upload(account.bucket, manifest(account), only=only)
    return plan(context, number=1)


def test_each_batch_is_described_while_the_one_before_is_sent(account: Account, context: Any) -> None:
    assert plan(context)["isAnythingLeft"] is True
    assert lines(account) == [("dmesg", 0), ("describe", 1)]
    next_round(account, context)
    assert lines(account) == [("part", 1), ("part", 2), ("part", 3), ("describe", 4)]
    next_round(account, context)
    assert lines(account) == [("part", 4), ("part", 5)]
    done = next_round(account, context)
    assert (done["isAnythingLeft"], done["manifestUrl"]) == (False, "none")
    assert (done["heldParts"], done["parts"], done["heldBytes"]) == (5, 5, 4608)


def test_the_plan_names_the_vmcore_and_where_it_goes(account: Account, context: Any) -> None:
    planned = plan(context)
    assert planned["keys"]["vmcore"] == f"{PREFIX}vmcore"
    assert planned["vmcorePath"] == "/var/crash/202611230400/dump.202611230400"
    assert (planned["sizeBytes"], planned["modifiedEpoch"]) == (4608, 1_795_406_450)


def test_lines_say_where_each_part_begins_and_ends(account: Account, context: Any) -> None:
    plan(context)
    next_round(account, context)
    split = [line.split("\t") for line in manifest(account).splitlines()]
    assert [(int(offset), int(length)) for _, _, offset, length, *_ in split] == [
        (0, 1000),
        (1000, 1000),
        (2000, 1000),
        (3000, 1608),
    ]
    assert split[3][4] == "1000", "how large the parts of the batch to describe are"


def test_the_upload_is_encrypted_with_our_key_and_keeps_digests(account: Account, context: Any) -> None:
    upload = account.bucket.uploads[plan(context)["uploadId"]]
    assert upload.key == f"{PREFIX}vmcore"
    assert upload.parameters["ServerSideEncryption"] == "aws:kms"
    assert upload.parameters["SSEKMSKeyId"] == aws.KEY_ARN
    assert upload.parameters["ChecksumAlgorithm"] == "SHA256"
    written = account.bucket.objects[f"manifests/{INCIDENT}/1.tsv"].parameters
    assert (written["ServerSideEncryption"], written["SSEKMSKeyId"]) == ("aws:kms", aws.KEY_ARN)


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


def test_an_upload_that_broke_off_is_resumed_with_what_is_missing(account: Account, context: Any) -> None:
    first = plan(context)
    next_round(account, context)
    second = next_round(account, context, only=2)
    assert second["uploadId"] == first["uploadId"]
    assert second["heldParts"] == 2
    # The batch after it was not described either: the instance died before.
    assert lines(account) == [("part", 3), ("describe", 4)]


def test_rounds_that_bring_nothing_are_counted_and_progress_begins_anew(account: Account, context: Any) -> None:
    assert plan(context)["stalledRounds"] == 0
    assert plan(context, number=1)["stalledRounds"] == 1
    assert plan(context, number=2)["stalledRounds"] == 2
    assert next_round(account, context)["stalledRounds"] == 0
    assert plan(context, number=4)["stalledRounds"] == 1
    assert plan(context, number=0)["stalledRounds"] == 0, "another execution has its own patience"


def test_a_part_that_s3_holds_wrongly_is_sent_again(account: Account, context: Any) -> None:
    upload_id = DUMP.upload_all(account.bucket, lambda: plan(context), lambda: manifest(account))["uploadId"]
    parts = account.bucket.uploads[upload_id].parts
    parts[3].digest = parts[1].digest
    assert plan(context)["isAnythingLeft"] is True
    assert lines(account) == [("part", 3)]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<Error>", id="no-list"),
        pytest.param(DUMP.description(1, DUMP.vmcore[:2000], 1000), id="cut-short"),
        pytest.param(DUMP.description(1, DUMP.vmcore[:3000], 999), id="of-another-cut"),
        pytest.param(DUMP.description(1, DUMP.vmcore[:3000], 1000) * 2, id="twice"),
    ],
)
def test_a_list_that_does_not_add_up_is_asked_for_again(account: Account, context: Any, said: bytes) -> None:
    upload_id = plan(context)["uploadId"]
    DUMP.upload(account.bucket, manifest(account))
    account.bucket.objects[key_of(INCIDENT, upload_id, 0)].data = said
    plan(context)
    assert lines(account) == [("describe", 1)]


def test_digests_that_s3_never_confirms_are_asked_for_again(account: Account, context: Any) -> None:
    upload_id = plan(context)["uploadId"]
    DUMP.upload(account.bucket, manifest(account))
    # Well-formed, and wrong: S3 takes no part by it.
    account.bucket.objects[key_of(INCIDENT, upload_id, 0)].data = DUMP.description(1, bytes(3000), 1000)
    for number in (1, 2):
        assert plan(context, number=number)["stalledRounds"] == number - 1
        assert ("part", 1) in lines(account)
    assert plan(context, number=3)["stalledRounds"] == 2
    assert lines(account) == [("describe", 1)]
    next_round(account, context)
    assert lines(account)[0] == ("part", 1)
    assert next_round(account, context)["heldParts"] == 3


def test_another_vmcore_starts_another_upload_and_aborts_the_old_one(account: Account, context: Any) -> None:
    old = plan(context)["uploadId"]
    next_round(account, context)
    newer = DUMP.found()
    newer["vmcore"]["modifiedEpoch"] += 60
    new = plan(context, newer)["uploadId"]
    assert new != old
    assert list(account.bucket.uploads) == [new]
    assert lines(account) == [("describe", 1)], "what was said of the old one counts no more"


def test_an_upload_that_is_gone_is_started_again(account: Account, context: Any) -> None:
    account.bucket.uploads.pop(plan(context)["uploadId"])
    planned = plan(context)
    assert list(account.bucket.uploads) == [planned["uploadId"]]
    assert planned["isAnythingLeft"] is True


def test_of_an_incomplete_vmcore_only_the_log_is_sent(account: Account, context: Any) -> None:
    found = DUMP.found() | {"status": "incomplete", "vmcore": {"path": "/var/crash/1/dump-incomplete", "sizeBytes": 9}}
    planned = plan(context, found)
    assert lines(account) == [("dmesg", 0)]
    assert "uploadId" not in planned
    assert account.bucket.uploads == {}
    DUMP.upload(account.bucket, manifest(account))
    assert plan(context, found)["isAnythingLeft"] is False


def test_a_vmcore_without_a_log_is_sent_alone(account: Account, context: Any) -> None:
    plan(context, DUMP.found() | {"dmesg": None})
    assert lines(account) == [("describe", 1)]


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("HeadObject", "403"),
        ("CreateMultipartUpload", "AccessDenied"),
        ("CreateMultipartUpload", "NoSuchBucket"),
        ("CreateMultipartUpload", "KMS.DisabledException"),
        ("PutObject", "AccessDenied"),
        ("GetObject", "AccessDenied"),
        ("AssumeRole", "AccessDenied"),
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


def test_a_description_that_says_nothing_is_refused(context: Any) -> None:
    with pytest.raises(InvalidInput) as raised:
        plan(context, {"vmcore": None})
    assert "status" in str(raised.value)


def test_an_unknown_incident_is_an_error(context: Any) -> None:
    event = {"incident": {"incidentId": "nowhere", "keyPrefix": PREFIX}, "found": DUMP.found(), "round": 0}
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
    assert "parts are in S3" in caplog.text, "it does log"
    for text in (logged.out, logged.err, caplog.text):
        assert "X-Amz-Signature" not in text
