"""Ends without a vmcore, and ends in which something refuses: the verdict still comes, with its reason."""

import json
from typing import Any

import pytest

from lambdas.incident.object_keys import INDEX_KEY
from lambdas.incident.record import ORPHAN, Incident, State, Upload, Verdict
from lambdas.incident.table import create_incident
from lambdas.runtime import clients
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.endings import ID, INCIDENT, INTERRUPTED, LOG, OPENED, PREFIX, captured, conclude, read_json


@pytest.fixture
def incident(account: Account) -> None:
    """An interrupted incident in the table, its kernel log in the bucket, and text on the console."""
    create_incident(aws.TABLE, INTERRUPTED)
    account.bucket._store(f"{PREFIX}vmcore-dmesg.txt", LOG.encode(), "", {})
    account.console = "the last 64 KiB"


@pytest.mark.usefixtures("incident")
def test_a_later_execution_cannot_talk_a_captured_vmcore_away(account: Account, context: Any) -> None:
    captured(context)
    concluded = conclude(
        context, incident=OPENED, executionName="again", error={"Error": "VmcoreNotFound", "Cause": "Nothing there."}
    )
    assert concluded["verdict"] == "panic-no-dump"
    assert read_record(INCIDENT).verdict == Verdict.CAPTURED
    assert read_json(account, f"{PREFIX}incident.json")["verdict"] == "captured"


def test_no_vmcore_at_all_is_a_verdict_with_a_reason(account: Account, incident: None, context: Any) -> None:
    account.bucket.objects.clear()
    cause = json.dumps({"errorMessage": "Nothing newer in /var/crash. Look at the console.", "errorType": "V"})
    concluded = conclude(context, incident=OPENED, error={"Error": "VmcoreNotFound", "Cause": cause})
    assert concluded["verdict"] == "panic-no-dump"
    assert "Nothing newer in /var/crash. Look at the console." in concluded["reason"]
    assert set(concluded["keys"]) == {"incident", "console", "report"}
    assert "panicLine" not in concluded
    assert "Look at the console." in account.messages[0]


@pytest.mark.usefixtures("incident")
def test_an_incomplete_vmcore_still_has_its_panic_line(account: Account, context: Any) -> None:
    concluded = conclude(context, incident=OPENED, verdict="incomplete", found={"status": "incomplete"})
    assert concluded["verdict"] == "incomplete"
    assert concluded["panicLine"] == "Kernel panic - not syncing: NMI: Not continuing"
    assert "vmcore" not in concluded["keys"]


def test_a_refused_interrupt_by_hand_says_why_and_what_to_do(account: Account, context: Any) -> None:
    refused = Incident(
        incident_id=INCIDENT,
        instance_id=ID,
        account_id=aws.ACCOUNT_ID,
        region=aws.REGION,
        state=State.REFUSED,
        origin="manual",
        decision="refuse",
        reason="not-enrolled",
        detail="The instance has no tag.",
    )
    create_incident(aws.TABLE, refused)
    concluded = conclude(context, incident=OPENED, verdict="refused", reason="not-enrolled")
    assert concluded["verdict"] == "refused"
    assert concluded["reason"] == "not-enrolled. The instance has no tag."
    assert "Next  If the owner agrees to crash the instance when it hangs, tag it" in account.messages[0]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"instanceId": "../../etc/passwd"}, id="path"),
        pytest.param({}, id="nothing"),
        pytest.param("i-0123456789abcdef0", id="text"),
        pytest.param(None, id="null"),
        pytest.param({"instanceId": ["i-0123456789abcdef0"]}, id="list"),
    ],
)
def test_an_execution_with_a_bad_input_ends_in_a_told_verdict_and_writes_no_key(
    account: Account, context: Any, given: Any
) -> None:
    cause = json.dumps({"errorMessage": "The execution's input is wrong: instanceId.", "errorType": "InvalidInput"})
    concluded = conclude(context, executionName="mine", input=given, error={"Error": "InvalidInput", "Cause": cause})
    assert concluded["verdict"] == "failed"
    assert "The execution's input is wrong: instanceId." in concluded["reason"]
    assert concluded["keys"] == {}
    assert set(account.bucket.objects) == {INDEX_KEY}
    assert read_record("mine").verdict == Verdict.FAILED
    assert len(account.messages) == 1


def test_an_incident_that_could_not_be_opened_is_filed_under_its_instance(account: Account, context: Any) -> None:
    concluded = conclude(context, executionName="mine", error={"Error": "InstanceNotFound", "Cause": "No such."})
    expected = f"vmcores/{aws.ACCOUNT_ID}/{aws.REGION}/{ID}/mine/incident.json"
    assert concluded["keys"]["incident"] == expected
    assert read_json(account, expected)["reason"] == "InstanceNotFound: No such."


def test_an_input_that_names_a_captured_incident_leaves_it_alone(
    account: Account, incident: None, context: Any
) -> None:
    captured(context)
    given = {"instanceId": ID, "incidentId": INCIDENT}
    conclude(context, executionName="mine", input=given, error={"Error": "InvalidInput", "Cause": "Already."})
    assert read_record(INCIDENT).verdict == Verdict.CAPTURED
    assert read_record("mine").verdict == Verdict.FAILED


@pytest.mark.usefixtures("incident")
def test_an_ending_after_an_interrupt_says_how_to_fetch_later(account: Account, context: Any) -> None:
    watch = {"phase": "timed-out", "detail": "It did not come back in time.", "sawCrashKernel": False}
    concluded = conclude(context, incident=OPENED, watch=watch)
    assert concluded["verdict"] == "failed"
    assert f'start CollectVmcore with {{"instanceId": "{ID}"}}' in concluded["reason"]


ORPHANED = Incident(
    incident_id=INCIDENT,
    instance_id=ID,
    account_id=aws.ACCOUNT_ID,
    region=aws.REGION,
    origin=ORPHAN,
    opened_at="2026-11-23T04:00:00Z",
)
NOT_EXPECTED = OPENED | {"isCrashExpected": False}
KEY = {"pk": {"S": f"incident#{INCIDENT}"}}
DELETED = {"volumeId": "vol-0123456789abcdef0", "action": "deleted", "reason": ""}
NOT_FOUND = {"Error": "VmcoreNotFound", "Cause": "There is no dump."}


def test_an_orphaned_volume_that_is_empty_has_a_verdict_and_is_told_to_nobody(account: Account, context: Any) -> None:
    create_incident(aws.TABLE, ORPHANED)

    concluded = conclude(
        context, incident=NOT_EXPECTED, rescue={}, copy={"isEmpty": True}, orphan=DELETED, error=NOT_FOUND
    )

    assert concluded["verdict"] == "no-panic"
    record = read_record(INCIDENT)
    assert (record.verdict, record.state) == (Verdict.NO_PANIC, State.CONCLUDED)
    assert (record.removed_volume_id, record.removed_volume_at) == (DELETED["volumeId"], record.concluded_at)
    assert account.messages == []
    assert INDEX_KEY not in account.bucket.objects
    assert "listedUnder" not in clients.dynamodb().get_item(TableName=aws.TABLE, Key=KEY)["Item"]


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"found": {"status": "incomplete"}}, id="an unfinished vmcore"),
        pytest.param({"error": {"Error": "VmcoreChanged", "Cause": "It changed."}}, id="an upload that failed"),
    ],
)
def test_an_orphaned_volume_with_a_vmcore_is_told(account: Account, context: Any, known: dict[str, Any]) -> None:
    began = Upload(upload_id="u", vmcore_path="/v", size_bytes=1, modified_epoch=1, part_bytes=1, parts_per_batch=1)
    create_incident(aws.TABLE, ORPHANED.model_copy(update={"upload": began if "error" in known else None}))

    conclude(context, incident=NOT_EXPECTED, rescue={}, copy={"isEmpty": False}, **known)

    assert len(account.messages) == 1
    assert INDEX_KEY in account.bucket.objects
