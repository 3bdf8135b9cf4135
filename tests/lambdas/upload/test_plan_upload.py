"""What the instance is given to do next: exactly what S3 lacks, and what must be described before it can be sent."""

import tracemalloc
from typing import Any

import pytest

from lambdas.handlers import plan_upload
from lambdas.runtime.errors import BucketRefused, InvalidInput, UnexpectedResult
from lambdas.upload.digest_lists import key_of
from tests.lambdas import account as aws
from tests.lambdas import planning
from tests.lambdas.account import Account
from tests.lambdas.planning import INCIDENT, OPENED, PREFIX, lines, manifest, next_round, plan
from tests.lambdas.vmcores import DUMP


@pytest.fixture(autouse=True)
def incident(account: Account, small_parts: None) -> None:
    planning.open_incident()


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


def test_the_record_says_where_the_objects_go_not_the_event(account: Account, context: Any) -> None:
    elsewhere = {"keyPrefix": PREFIX.replace(INCIDENT, "20261120T040000Z-i-0fedcba9876543210")}
    planned = plan_upload.handler({"incident": OPENED | elsewhere, "found": DUMP.found(), "round": 0}, context)
    assert planned["keys"]["vmcore"] == f"{PREFIX}vmcore"
    assert {upload.key for upload in account.bucket.uploads.values()} <= {f"{PREFIX}vmcore"}


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


def test_a_list_of_digests_of_any_length_takes_little_memory(account: Account, context: Any) -> None:
    upload_id = plan(context)["uploadId"]
    next_round(account, context)
    account.bucket.objects[key_of(INCIDENT, upload_id, 0)].data = b"1\t" * (16 * 1024**2)
    tracemalloc.start()
    plan(context, number=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 1024**2
    assert lines(account) == [("describe", 1)]


def test_a_description_that_says_nothing_is_refused(context: Any) -> None:
    with pytest.raises(UnexpectedResult) as raised:
        plan(context, {"vmcore": None})
    assert "status" in str(raised.value)


def test_an_unknown_incident_is_an_error(context: Any) -> None:
    event = {"incident": {"incidentId": "nowhere"}, "found": DUMP.found(), "round": 0}
    with pytest.raises(InvalidInput, match="No incident nowhere"):
        plan_upload.handler(event, context)
