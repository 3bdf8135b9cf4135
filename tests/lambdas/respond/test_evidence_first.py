"""What is stored of an instance before it is interrupted, and that nothing of it ever stops the interrupt."""

import json
import threading

import pytest
from botocore.exceptions import ReadTimeoutError

from lambdas.incident.record import Incident
from lambdas.respond.evidence_first import METRICS
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.alarm_events import alarm_action, query
from tests.lambdas.conftest import Deliver

NAMES = {"consoleBefore", "screenshotBefore", "statusBefore", "metricsBefore"}
LOOKS = {
    "screenshotBefore": "GetConsoleScreenshot",
    "statusBefore": "DescribeInstanceStatus",
    "metricsBefore": "GetMetricData",
}


def interrupted(account: Account, deliver: Deliver, instance_id: str) -> Incident:
    """The record after an alarm that led to an interrupt."""
    answer = deliver(alarm_action(query(instance_id)))
    assert answer["decision"] == "interrupt"
    assert account.interrupts == [instance_id]
    return read_record(answer["incidentId"])


def folder(incident: Incident) -> str:
    instance_id = incident.instance_id
    return f"vmcores/{aws.ACCOUNT_ID}/{aws.REGION}/{instance_id}/{incident.incident_id}/before"


def test_console_screen_checks_and_metrics_are_stored_before_the_interrupt(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    stored_when_sent: list[set[str]] = []
    account.meetings["SendDiagnosticInterrupt"] = lambda: stored_when_sent.append(set(account.bucket.objects))

    incident = interrupted(account, deliver, instance_id)

    before = folder(incident)
    files = {f"{before}/{name}" for name in ("console.txt", "screenshot.jpg", "status.json", "metrics.json")}
    assert stored_when_sent == [files]
    assert (set(incident.evidence_keys), set(incident.evidence_keys.values())) == (NAMES, files)
    assert incident.evidence_problems == []
    objects = account.bucket.objects
    assert objects[f"{before}/console.txt"].data.decode() == account.console
    assert objects[f"{before}/screenshot.jpg"].data == account.screenshot
    (status,) = json.loads(objects[f"{before}/status.json"].data)
    assert status["InstanceStatus"]["Status"] == "impaired"
    metrics = json.loads(objects[f"{before}/metrics.json"].data)
    assert set(metrics) == set(METRICS)
    assert metrics["CPUUtilization"]["values"] == [["2026-11-23T04:01:00Z", 1.0]]
    assert {each["SSEKMSKeyId"] for each in account.named("PutObject")} == {aws.KEY_ARN}


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_what_cannot_be_read_is_noted_and_the_interrupt_is_sent(
    account: Account, deliver: Deliver, instance_id: str, name: str
) -> None:
    # The gate reads the status and that of the zone, and the metrics, before and after the probe, and needs them.
    of_the_gate = iter([None] * {"statusBefore": 4, "metricsBefore": 2}.get(name, 0))

    def fail_later() -> None:
        if next(of_the_gate, "later") == "later":
            raise ReadTimeoutError(endpoint_url="https://ec2")

    account.meetings[LOOKS[name]] = fail_later

    incident = interrupted(account, deliver, instance_id)

    assert set(incident.evidence_keys) == NAMES - {name}
    (problem,) = incident.evidence_problems
    assert problem.startswith(f"{name}: ")


def test_a_bucket_that_refuses_stops_no_interrupt(account: Account, deliver: Deliver, instance_id: str) -> None:
    account.fail("PutObject", "AccessDenied")
    incident = interrupted(account, deliver, instance_id)
    assert incident.evidence_keys == {}
    assert len(incident.evidence_problems) == 4
    assert "AccessDenied" in incident.evidence_problems[0]


def test_an_answer_that_nobody_expected_stops_no_interrupt(
    account: Account, deliver: Deliver, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "_GetConsoleScreenshot", lambda _: {})
    incident = interrupted(account, deliver, instance_id)
    assert incident.evidence_problems == ["screenshotBefore: KeyError: 'ImageData'"]


def test_settings_that_are_missing_stop_no_interrupt(
    account: Account, deliver: Deliver, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVIDENCE_TIMEOUT_SECONDS")
    incident = interrupted(account, deliver, instance_id)
    assert "EVIDENCE_TIMEOUT_SECONDS" in incident.evidence_problems[0]


@pytest.fixture
def short_bound(variables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIDENCE_TIMEOUT_SECONDS", "1")


@pytest.mark.usefixtures("short_bound")
def test_what_is_seen_after_the_interrupt_is_not_stored_as_seen_before(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    sent = threading.Event()
    account.meetings["GetConsoleScreenshot"] = lambda: sent.wait(30)
    account.meetings["SendDiagnosticInterrupt"] = sent.set

    incident = interrupted(account, deliver, instance_id)

    assert incident.evidence_problems[0].startswith("screenshotBefore: ")
    assert set(incident.evidence_keys) == NAMES - {"screenshotBefore"}
    assert not any(key.endswith("screenshot.jpg") for key in account.bucket.objects)


@pytest.mark.usefixtures("short_bound")
def test_a_bucket_that_does_not_answer_delays_the_interrupt_by_no_more_than_the_bound(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    sent = threading.Event()
    account.meetings["PutObject"] = lambda: sent.wait(30)
    account.meetings["SendDiagnosticInterrupt"] = sent.set

    incident = interrupted(account, deliver, instance_id)

    assert incident.evidence_keys == {}
    assert all("not stored within 1 s" in problem for problem in incident.evidence_problems)


def test_nothing_is_looked_at_when_the_bound_is_zero(
    account: Account, deliver: Deliver, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVIDENCE_TIMEOUT_SECONDS", "0")
    incident = interrupted(account, deliver, instance_id)
    assert (incident.evidence_keys, incident.evidence_problems) == ({}, [])
    assert account.named("GetConsoleScreenshot") == []


def test_who_does_not_hold_the_claim_stores_nothing(account: Account, deliver: Deliver, instance_id: str) -> None:
    interrupted(account, deliver, instance_id)
    stored = dict(account.bucket.objects)
    second = alarm_action(query(instance_id), name="another", at="2026-11-23T04:00:20.000+0000")
    assert deliver(second)["reason"] == "incident-open"
    assert account.bucket.objects == stored
