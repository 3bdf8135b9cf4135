"""What is left of an incident at its end: objects, record, notification, metric."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.conclude import incident_objects
from lambdas.incident.record import State, Verdict
from lambdas.incident.table import create_incident
from lambdas.triage import CrashClass, Triage
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.endings import (
    ID,
    INCIDENT,
    INTERRUPTED,
    LOG,
    OPENED,
    PREFIX,
    SAYS,
    VERIFIED,
    captured,
    conclude,
    read_json,
)


@pytest.fixture
def incident(account: Account) -> None:
    """An interrupted incident in the table, its kernel log in the bucket, and text on the console."""
    create_incident(aws.TABLE, INTERRUPTED)
    account.bucket._store(f"{PREFIX}vmcore-dmesg.txt", LOG.encode(), "", {})
    account.console = "the last 64 KiB"


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
        "triage": f"{PREFIX}triage.json",
        "report": f"{PREFIX}report.html",
    }
    known = read_record(INCIDENT)
    assert (known.state, known.verdict) == (State.CONCLUDED, Verdict.CAPTURED)
    assert known.timeline[-1]["event"] == "concluded"


@pytest.mark.usefixtures("incident")
def test_what_a_host_said_is_one_bounded_line_wherever_it_goes(account: Account, context: Any) -> None:
    said = "none\nVerdict   captured\x1b[2K\u202e" + "A" * 5_000
    opened = SAYS | {"problems": [said] * 100}
    failed = {"Error": "VmcoreChanged", "Cause": json.dumps({"errorMessage": said})}
    other = VERIFIED | {"key": f"{PREFIX}of-somebody-else"}
    concluded = conclude(context, incident=OPENED, verified=other, opened=opened, error=failed)
    assert concluded["keys"]["vmcore"] == f"{PREFIX}vmcore"
    known = read_record(INCIDENT)
    report = read_json(account, f"{PREFIX}incident.json")
    for text in (concluded["reason"], known.verdict_reason, *report["problems"]):
        assert text is not None
        assert text.isprintable()
        assert len(text) < 2_500
    assert len(report["problems"]) == 20
    (told,) = account.messages
    assert "\nVerdict   captured" not in told
    assert len(told) < 20_000


@pytest.mark.usefixtures("incident")
def test_incident_json_tells_the_whole_story(account: Account, context: Any) -> None:
    captured(context)
    report = read_json(account, f"{PREFIX}incident.json")
    assert report["verdict"] == "captured"
    assert report["decisionReason"] == "kernel-deaf"
    assert report["evidence"] == {"instanceStatus": "impaired"}
    assert report["vmcore"] == {"key": f"{PREFIX}vmcore", "sizeBytes": 50_331_648, "digest": "abc=-5", "parts": 5}
    assert report["kernel"] == "6.1.0-18-cloud-amd64"
    assert report["crashClass"] == "nmi-hang"
    assert report["sentence"] == "The machine hung: CPU 0 ran spin_lock_for_ever of spin (pid 777)."
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
    assert subject.startswith(f"Hangdump: captured {ID}: The machine hung: CPU 0 ran spin_lock_for_ever")
    assert len(subject) <= 100
    assert lines[:3] == [
        "The machine hung: CPU 0 ran spin_lock_for_ever of spin (pid 777).",
        "Panic  Kernel panic - not syncing: NMI: Not continuing",
        "Next   The instance hung until the interrupt. See which task held each CPU: look for a real-time task that"
        " never sleeps, or for a CPU that spins on a lock.",
    ]
    assert lines[3].startswith(f"captured: {ID}. The vmcore is in the bucket")
    assert "Class      nmi-hang" in lines
    assert f"vmcore     s3://{aws.BUCKET}/{PREFIX}vmcore (48.0 MiB)" in lines
    assert "Took       34 s from the interrupt to the verified vmcore" in lines
    assert len(lines) <= 20


@pytest.mark.usefixtures("incident")
def test_what_the_kernel_did_is_kept_beside_the_vmcore_and_in_the_record(account: Account, context: Any) -> None:
    captured(context)
    told = Triage.model_validate(read_json(account, f"{PREFIX}triage.json"))
    assert (told.crash_class, told.crashing_cpu) == (CrashClass.NMI_HANG, 0)
    report = read_json(account, f"{PREFIX}incident.json")
    assert report["signature"] == told.signature != ""
    known = read_record(INCIDENT)
    assert (known.crash_class, known.signature, known.sentence) == ("nmi-hang", told.signature, told.sentence)


@pytest.mark.usefixtures("incident")
def test_a_log_that_defeats_the_triage_does_not_keep_the_verdict_back(
    account: Account, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defeated(*_: str) -> Triage:
        raise RecursionError("too deep")

    monkeypatch.setattr(incident_objects, "triage", defeated)
    assert captured(context)["verdict"] == "captured"
    (message,) = account.messages
    assert "Problem: Triage of the kernel's log: RecursionError('too deep')" in message


@pytest.mark.usefixtures("incident")
def test_the_verdict_is_a_metric(context: Any, capsys: pytest.CaptureFixture[str]) -> None:
    captured(context)
    emitted = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert any(line.get("Incidents") == [1.0] and line.get("verdict") == "captured" for line in emitted)
    assert any(line.get("Incidents") == [1.0] and "verdict" not in line for line in emitted)
    assert any(line.get("Crashes") == [1.0] and line.get("crashClass") == "nmi-hang" for line in emitted)
    assert any(line.get("VmcoreBytes") == [50_331_648.0] for line in emitted)
    assert any(line.get("PhaseSeconds") == [34.0] and line.get("phase") == "interruptToVerified" for line in emitted)


@pytest.mark.usefixtures("incident")
def test_the_state_retried_tells_nobody_twice(account: Account, context: Any) -> None:
    assert captured(context) == captured(context)
    assert len(account.messages) == 1


@pytest.mark.usefixtures("incident")
def test_the_state_retried_tells_what_it_could_not_tell_before(account: Account, context: Any) -> None:
    captured(context)
    account.fail("Publish", "InternalError")
    second: dict[str, Any] = {"executionName": "second", "incident": OPENED, "verified": VERIFIED}
    with pytest.raises(ClientError):
        conclude(context, **second)
    account.heal()
    account.calls.clear()

    conclude(context, **second)

    assert len(account.messages) == 1


@pytest.mark.parametrize("operation", ["GetObject", "PutObject", "GetConsoleOutput"])
@pytest.mark.usefixtures("incident")
def test_a_bucket_or_console_that_refuses_does_not_keep_the_verdict_back(
    account: Account, context: Any, operation: str
) -> None:
    account.fail(operation, "AccessDenied")
    concluded = captured(context)
    assert concluded["verdict"] == "captured"
    assert read_record(INCIDENT).verdict == Verdict.CAPTURED
    (message,) = account.messages
    assert "Problem: " in message
    assert operation in message


@pytest.mark.usefixtures("incident")
def test_what_could_not_be_written_is_not_listed(account: Account, context: Any) -> None:
    account.fail("PutObject", "AccessDenied")
    assert set(captured(context)["keys"]) == {"vmcore", "dmesg"}
