"""What is left of an incident at its end: objects, record, notification, metric."""

import json
from typing import Any

import pytest

from lambdas import conclude_incident
from lambdas.incident import ConsoleBaseline, Incident, State, Verdict, timeline_entry
from lambdas.incident_table import IncidentTable
from lambdas.moment import parse
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.test_read_panic import NMI, VERSION
from tests.lambdas.vmcores import DUMP

ID = "i-0123456789abcdef0"
INCIDENT = f"20261123T040000Z-{ID}"
PREFIX = f"vmcores/{aws.ACCOUNT_ID}/{aws.REGION}/{ID}/{INCIDENT}/"
OPENED = {
    "incidentId": INCIDENT,
    "instanceId": ID,
    "accountId": aws.ACCOUNT_ID,
    "region": aws.REGION,
    "keyPrefix": PREFIX,
    "isCrashExpected": True,
}
VERIFIED = {"verified": True, "key": f"{PREFIX}vmcore", "sizeBytes": 50_331_648, "digest": "abc=-5", "parts": 5}


def entry(time: str, event: str) -> dict[str, str]:
    return timeline_entry(parse(f"2026-11-23T{time}Z"), event)


@pytest.fixture
def incident(account: Account) -> Incident:
    incident = Incident(
        incident_id=INCIDENT,
        instance_id=ID,
        account_id=aws.ACCOUNT_ID,
        region=aws.REGION,
        state=State.INTERRUPTED,
        origin="alarm",
        alarm_name="hang",
        decision="interrupt",
        reason="hang-confirmed",
        evidence={"instanceStatus": "impaired"},
        claimed_epoch=1,
        interrupted_epoch=1,
        console_baseline=ConsoleBaseline(end="secret on the screen", length=20),
        timeline=[
            entry("03:59:00", "alarm"),
            entry("03:59:46", "interrupt-sent"),
            entry("04:00:00", "online"),
            entry("04:00:10", "upload-started"),
            entry("04:00:20", "verified"),
        ],
    )
    IncidentTable(aws.TABLE).create(incident)
    account.bucket._store(f"{PREFIX}vmcore-dmesg.txt", (VERSION + NMI).encode(), "", {})
    account.console = "the last 64 KiB"
    return incident


def conclude(context: Any, **facts: Any) -> dict[str, Any]:
    return conclude_incident.handler({"executionName": INCIDENT, "input": {"instanceId": ID}} | facts, context)


def captured(context: Any) -> dict[str, Any]:
    return conclude(context, incident=OPENED, found=DUMP.found(), verified=VERIFIED, watch={"phase": "online"})


def record(incident_id: str = INCIDENT) -> Incident:
    found = IncidentTable(aws.TABLE).read(incident_id)
    assert found is not None
    return found


def read_json(account: Account, key: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(account.bucket.objects[key].data)
    return parsed


@pytest.mark.usefixtures("incident")
def test_a_captured_vmcore_is_reported_with_its_panic(account: Account, context: Any) -> None:
    concluded = captured(context)
    assert concluded["verdict"] == "captured"
    assert concluded["panicLine"] == "Kernel panic - not syncing: NMI: Not continuing"
    assert concluded["keys"] == {
        "vmcore": f"{PREFIX}vmcore",
        "dmesg": f"{PREFIX}vmcore-dmesg.txt",
        "incident": f"{PREFIX}incident.json",
        "console": f"{PREFIX}console.txt",
    }
    known = record()
    assert (known.state, known.verdict) == (State.CONCLUDED, Verdict.CAPTURED)
    assert known.timeline[-1]["event"] == "concluded"


@pytest.mark.usefixtures("incident")
def test_incident_json_tells_the_whole_story(account: Account, context: Any) -> None:
    captured(context)
    report = read_json(account, f"{PREFIX}incident.json")
    assert report["verdict"] == "captured"
    assert report["decisionReason"] == "hang-confirmed"
    assert report["evidence"] == {"instanceStatus": "impaired"}
    assert report["vmcore"] == {"key": f"{PREFIX}vmcore", "sizeBytes": 50_331_648, "digest": "abc=-5", "parts": 5}
    assert report["kernel"] == "6.1.0-18-cloud-amd64"
    assert report["isNmiPanic"] is True
    assert report["durations"] == {
        "alarmToInterruptSeconds": 46,
        "interruptToOnlineSeconds": 14,
        "interruptToVerifiedSeconds": 34,
        "uploadSeconds": 10,
        "totalSeconds": 90,
    }
    assert [line["event"] for line in report["timeline"]][-2:] == ["verified", "concluded"]
    assert "secret on the screen" not in json.dumps(report)
    stored = account.bucket.objects[f"{PREFIX}incident.json"].parameters
    assert (stored["ServerSideEncryption"], stored["SSEKMSKeyId"]) == ("aws:kms", aws.KEY_ARN)
    assert account.bucket.objects[f"{PREFIX}console.txt"].data == b"the last 64 KiB"


@pytest.mark.usefixtures("incident")
def test_the_notification_is_short_and_has_the_panic_line(account: Account, context: Any) -> None:
    captured(context)
    (message,) = account.messages
    subject, *lines = message.splitlines()
    assert subject.startswith(f"Hangdump: captured {ID}: Kernel panic - not syncing: NMI: Not")
    assert len(subject) <= 100
    assert "Panic     Kernel panic - not syncing: NMI: Not continuing" in lines
    assert f"vmcore    s3://{aws.BUCKET}/{PREFIX}vmcore (48.0 MiB)" in lines
    assert "Took      34 s from the interrupt to the verified vmcore" in lines
    assert len(lines) < 15


@pytest.mark.usefixtures("incident")
def test_the_verdict_is_a_metric(context: Any, capsys: pytest.CaptureFixture[str]) -> None:
    captured(context)
    emitted = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert any(line.get("Incidents") == [1.0] and line.get("verdict") == "captured" for line in emitted)
    assert any(line.get("Incidents") == [1.0] and "verdict" not in line for line in emitted)
    assert any(line.get("VmcoreBytes") == [50_331_648.0] for line in emitted)
    assert any(line.get("InterruptToVmcore") == [34.0] for line in emitted)


@pytest.mark.usefixtures("incident")
def test_the_state_retried_tells_nobody_twice(account: Account, context: Any) -> None:
    assert captured(context) == captured(context)
    assert len(account.messages) == 1


@pytest.mark.usefixtures("incident")
def test_a_later_execution_cannot_talk_a_captured_vmcore_away(account: Account, context: Any) -> None:
    captured(context)
    concluded = conclude(
        context, incident=OPENED, executionName="again", error={"Error": "VmcoreNotFound", "Cause": "Nothing there."}
    )
    assert concluded["verdict"] == "panic-no-dump"
    assert record().verdict == Verdict.CAPTURED
    assert read_json(account, f"{PREFIX}incident.json")["verdict"] == "captured"


def test_no_vmcore_at_all_is_a_verdict_with_a_reason(account: Account, incident: Incident, context: Any) -> None:
    account.bucket.objects.clear()
    cause = json.dumps({"errorMessage": "Nothing newer in /var/crash. Look at the console.", "errorType": "V"})
    concluded = conclude(context, incident=OPENED, error={"Error": "VmcoreNotFound", "Cause": cause})
    assert concluded["verdict"] == "panic-no-dump"
    assert "Nothing newer in /var/crash. Look at the console." in concluded["reason"]
    assert set(concluded["keys"]) == {"incident", "console"}
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
    IncidentTable(aws.TABLE).create(refused)
    concluded = conclude(context, incident=OPENED, verdict="refused", reason="not-enrolled")
    assert concluded["verdict"] == "refused"
    assert concluded["reason"] == "not-enrolled. The instance has no tag."
    assert "Next      If its owner agrees that it may be crashed, tag it" in account.messages[0]


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
    assert account.bucket.objects == {}
    assert record("mine").verdict == Verdict.FAILED
    assert len(account.messages) == 1


def test_an_incident_that_could_not_be_opened_is_filed_under_its_instance(account: Account, context: Any) -> None:
    concluded = conclude(context, executionName="mine", error={"Error": "InstanceNotFound", "Cause": "No such."})
    expected = f"vmcores/{aws.ACCOUNT_ID}/{aws.REGION}/{ID}/mine/incident.json"
    assert concluded["keys"]["incident"] == expected
    assert read_json(account, expected)["reason"] == "InstanceNotFound: No such."


def test_an_input_that_names_a_captured_incident_leaves_it_alone(
    account: Account, incident: Incident, context: Any
) -> None:
    captured(context)
    given = {"instanceId": ID, "incidentId": INCIDENT}
    conclude(context, executionName="mine", input=given, error={"Error": "InvalidInput", "Cause": "Already."})
    assert record().verdict == Verdict.CAPTURED
    assert record("mine").verdict == Verdict.FAILED


@pytest.mark.parametrize("operation", ["GetObject", "PutObject", "GetConsoleOutput"])
@pytest.mark.usefixtures("incident")
def test_a_bucket_or_console_that_refuses_does_not_keep_the_verdict_back(
    account: Account, context: Any, operation: str
) -> None:
    account.fail(operation, "AccessDenied")
    concluded = captured(context)
    assert concluded["verdict"] == "captured"
    assert record().verdict == Verdict.CAPTURED
    (message,) = account.messages
    assert "Problem: " in message
    assert operation in message


@pytest.mark.usefixtures("incident")
def test_what_could_not_be_written_is_not_listed(account: Account, context: Any) -> None:
    account.fail("PutObject", "AccessDenied")
    assert set(captured(context)["keys"]) == {"vmcore", "dmesg"}


@pytest.mark.usefixtures("incident")
def test_an_ending_after_an_interrupt_says_how_to_fetch_later(account: Account, context: Any) -> None:
    watch = {"phase": "timed-out", "detail": "It did not come back in time.", "sawCrashKernel": False}
    concluded = conclude(context, incident=OPENED, watch=watch)
    assert concluded["verdict"] == "failed"
    assert f'start CollectVmcore with {{"instanceId": "{ID}"}}' in concluded["reason"]
