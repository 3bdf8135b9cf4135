"""Invariant 3: verified means complete and identical; anything else is not left in the bucket under that name."""

import base64
import hashlib
import json
from typing import Any

import pytest

from lambdas.handlers import plan_upload, verify_vmcore
from lambdas.incident.table import IncidentTable
from lambdas.runtime.errors import BucketRefused, InvalidInput, UploadIncomplete, VmcoreNotIdentical
from lambdas.upload.digest_lists import key_of
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.planning import ID, INCIDENT, OPENED, PREFIX, open_incident
from tests.lambdas.vmcores import DUMP

KEY = f"{PREFIX}vmcore"


@pytest.fixture
def upload(account: Account, small_parts: None, context: Any) -> dict[str, Any]:
    """Planned, described and sent, every part."""
    open_incident()
    event = {"incident": OPENED, "found": DUMP.found(), "round": 0}

    def manifest() -> str:
        number = sum(key.startswith("manifests/") for key in account.bucket.objects)
        return account.bucket.objects[f"manifests/{INCIDENT}/{number}.tsv"].data.decode()

    return DUMP.upload_all(account.bucket, lambda: plan_upload.handler(event, context), manifest)


def verify(upload: dict[str, Any], context: Any, found: dict[str, Any] | None = None) -> dict[str, Any]:
    return verify_vmcore.handler({"incident": OPENED, "found": found or DUMP.found(), "upload": upload}, context)


def test_a_complete_and_identical_vmcore_is_verified(account: Account, upload: dict[str, Any], context: Any) -> None:
    verified = verify(upload, context)
    stored = account.bucket.objects[KEY]
    assert stored.data == DUMP.vmcore
    assert verified == {"verified": True, "key": KEY, "sizeBytes": 4608, "digest": stored.digest, "parts": 5}
    assert account.bucket.uploads == {}
    known = IncidentTable(aws.TABLE).read(INCIDENT)
    assert known is not None
    assert known.timeline[-1]["event"] == "verified"


def test_the_record_says_which_object_is_verified_not_the_event(
    account: Account, upload: dict[str, Any], context: Any
) -> None:
    others = {
        name: key.replace(INCIDENT, "20261120T040000Z-i-0fedcba9876543210") for name, key in upload["keys"].items()
    }
    assert verify(upload | {"keys": others}, context)["key"] == KEY
    assert f"{PREFIX}manifest.json" in account.bucket.objects


def test_the_state_entered_again_verifies_the_same_object(
    account: Account, upload: dict[str, Any], context: Any
) -> None:
    assert verify(upload, context) == verify(upload, context)


def test_a_completion_whose_answer_was_lost_is_no_failure(
    account: Account, upload: dict[str, Any], context: Any
) -> None:
    parts = [{"PartNumber": number, "ETag": "", "ChecksumSHA256": ""} for number in range(1, 6)]

    def complete_first() -> None:
        if upload["uploadId"] in account.bucket.uploads:
            account.bucket.CompleteMultipartUpload(
                {"UploadId": upload["uploadId"], "MpuObjectSize": 4608, "MultipartUpload": {"Parts": parts}}
            )

    account.meetings["CompleteMultipartUpload"] = complete_first
    assert verify(upload, context)["verified"] is True


def test_missing_parts_are_not_completed_but_can_still_be_sent(
    account: Account, upload: dict[str, Any], context: Any
) -> None:
    del account.bucket.uploads[upload["uploadId"]].parts[4]
    with pytest.raises(UploadIncomplete, match=r"lacks 1 of 5 parts of .*, first 4"):
        verify(upload, context)
    assert upload["uploadId"] in account.bucket.uploads
    assert KEY not in account.bucket.objects


def test_a_part_with_another_digest_aborts_the_upload(account: Account, upload: dict[str, Any], context: Any) -> None:
    parts = account.bucket.uploads[upload["uploadId"]].parts
    parts[2].digest = parts[1].digest
    with pytest.raises(VmcoreNotIdentical, match=f"Part 2 of {KEY}"):
        verify(upload, context)
    assert account.bucket.uploads == {}
    assert KEY not in account.bucket.objects


def test_a_part_with_another_size_aborts_the_upload(account: Account, upload: dict[str, Any], context: Any) -> None:
    account.bucket.uploads[upload["uploadId"]].parts[5].data += b"x"
    with pytest.raises(VmcoreNotIdentical, match="Part 5"):
        verify(upload, context)


def test_a_part_too_many_aborts_the_upload(account: Account, upload: dict[str, Any], context: Any) -> None:
    parts = account.bucket.uploads[upload["uploadId"]].parts
    parts[6] = parts[5]
    with pytest.raises(VmcoreNotIdentical, match="Part 6"):
        verify(upload, context)


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param({"ContentLength": 4607}, id="size"),
        pytest.param({"ChecksumSHA256": "AAAA-5"}, id="digest"),
        pytest.param({"ChecksumSHA256": None}, id="no-digest"),
    ],
)
def test_an_object_that_is_not_the_vmcore_is_deleted_with_its_version(
    account: Account,
    upload: dict[str, Any],
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
    lie: dict[str, Any],
) -> None:
    truth = account.bucket.HeadObject

    def told(parameters: dict[str, Any]) -> dict[str, Any]:
        head = truth(parameters) | lie
        return {name: value for name, value in head.items() if value is not None}

    monkeypatch.setattr(account.bucket, "HeadObject", told)
    with pytest.raises(VmcoreNotIdentical, match="The object was deleted"):
        verify(upload, context)
    assert KEY not in account.bucket.objects
    assert len(account.bucket.deleted_versions) == 1


def test_an_older_object_of_that_name_is_not_taken_for_the_vmcore(
    account: Account, upload: dict[str, Any], context: Any
) -> None:
    del account.bucket.uploads[upload["uploadId"]]
    with pytest.raises(UploadIncomplete, match="Neither an upload nor an object"):
        verify(upload, context)


def test_an_incomplete_vmcore_is_never_verified(account: Account, upload: dict[str, Any], context: Any) -> None:
    found = DUMP.found() | {"status": "incomplete", "vmcore": {"path": "/x", "sizeBytes": 9}}
    with pytest.raises(InvalidInput, match="only a complete vmcore is verified"):
        verify(upload, context, found)
    assert KEY not in account.bucket.objects


def test_a_batch_that_was_never_described_is_no_proof(account: Account, upload: dict[str, Any], context: Any) -> None:
    del account.bucket.objects[key_of(INCIDENT, upload["uploadId"], 1)]
    with pytest.raises(UploadIncomplete, match="1 of 2 batches"):
        verify(upload, context)
    assert KEY not in account.bucket.objects


def test_the_chain_of_custody_lies_beside_the_vmcore(account: Account, upload: dict[str, Any], context: Any) -> None:
    verified = verify(upload, context)
    said = json.loads(account.bucket.objects[f"{PREFIX}manifest.json"].data)
    assert said["object"] | {"versionId": "v"} == {
        "bucket": aws.BUCKET,
        "key": KEY,
        "versionId": "v",
        "sizeBytes": 4608,
        "checksumAlgorithm": "SHA256",
        "checksumType": "COMPOSITE",
        "checksum": verified["digest"],
    }
    assert said["object"]["versionId"] == account.bucket.objects[KEY].version
    assert said["file"]["path"] == DUMP.found()["vmcore"]["path"]
    assert (said["instance"]["instanceId"], said["instance"]["kernel"]) == (ID, "6.1.0-18-cloud-amd64")
    raw = [base64.b64decode(part["sha256"]) for part in said["parts"]]
    whole = base64.b64encode(hashlib.sha256(b"".join(raw)).digest()).decode()
    assert verified["digest"] == f"{whole}-5", "whoever holds the file can prove it"
    assert sum(part["sizeBytes"] for part in said["parts"]) == 4608


@pytest.mark.parametrize("operation", ["ListParts", "CompleteMultipartUpload", "HeadObject"])
def test_a_bucket_that_refuses_is_named(account: Account, upload: dict[str, Any], context: Any, operation: str) -> None:
    account.fail(operation, "AccessDenied")
    with pytest.raises(BucketRefused, match=f"refused {operation}"):
        verify(upload, context)
