"""The report of an incident at its end: in the bucket, linked from the notification, no risk to the verdict."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lambdas.incident.object_keys import INDEX_KEY
from lambdas.incident.record import Verdict
from lambdas.incident.table import create_incident
from lambdas.report import pages as incident_pages
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.endings import INCIDENT, INTERRUPTED, LOG, OPENED, PREFIX, captured, conclude, read_json
from tests.lambdas.report.documents import parse

REPORT = f"{PREFIX}report.html"


@pytest.fixture
def incident(account: Account) -> None:
    create_incident(aws.TABLE, INTERRUPTED.model_copy(update={"opened_at": "2026-11-23T03:59:40Z"}))
    account.bucket._store(f"{PREFIX}vmcore-dmesg.txt", LOG.encode(), "", {})


def _link(account: Account) -> str:
    (message,) = account.messages
    links = [line.split()[1] for line in message.splitlines() if line.startswith("Link ")]
    return links[0] if links else ""


@pytest.mark.usefixtures("incident")
def test_the_report_says_what_the_kernel_was_doing(account: Account, context: Any) -> None:
    assert captured(context)["keys"]["report"] == REPORT
    stored = account.bucket.objects[REPORT]
    page = parse(stored.data.decode())
    assert "The machine hung: CPU 0 ran spin_lock_for_ever of spin (pid 777)." in page.text
    assert {"timeline", "trace", "cpus", "next", "similar", "evidence", "custody", "costs"} <= page.by_id()
    assert "secret on the screen" not in stored.data.decode()
    assert stored.parameters["ContentType"] == "text/html; charset=utf-8"
    assert (stored.parameters["ServerSideEncryption"], stored.parameters["SSEKMSKeyId"]) == ("aws:kms", aws.KEY_ARN)
    assert read_json(account, f"{PREFIX}incident.json")["keys"]["report"] == REPORT


@pytest.mark.usefixtures("incident")
def test_the_index_shows_the_incident_with_its_verdict(account: Account, context: Any) -> None:
    captured(context)
    page = parse(account.bucket.objects[INDEX_KEY].data.decode())
    assert "1 incident on 1 instance" in page.text
    assert any("report.html" in (each.attributes.get("href") or "") for each in page.elements)


@pytest.mark.usefixtures("incident")
def test_the_notification_holds_a_link_to_the_report_alone(account: Account, context: Any) -> None:
    captured(context)
    link = urlsplit(_link(account))
    query = parse_qs(link.query)
    assert link.path == f"/{REPORT}"
    assert (link.hostname or "").startswith(f"{aws.BUCKET}.s3.{aws.REGION}.")
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == [str(12 * 3600)]


@pytest.mark.usefixtures("incident")
def test_the_link_is_nowhere_but_in_the_notification(
    account: Account, context: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    concluded = captured(context)
    assert "X-Amz-Signature" in _link(account)
    everything = json.dumps(concluded) + "".join(capsys.readouterr()) + str(read_record(INCIDENT))
    objects = b"".join(stored.data for stored in account.bucket.objects.values())
    assert "X-Amz-" not in everything
    assert b"X-Amz-" not in objects


@pytest.mark.usefixtures("incident")
def test_no_hours_are_no_link(account: Account, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORT_LINK_HOURS", "0")
    captured(context)
    assert _link(account) == ""
    assert "console.aws.amazon.com/s3/object/" in account.messages[0]


@pytest.mark.usefixtures("incident")
def test_a_report_that_cannot_be_drawn_costs_no_verdict(
    account: Account, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise RuntimeError("no paper")

    monkeypatch.setattr(incident_pages, "render", fail)
    monkeypatch.setattr(incident_pages, "render_index", fail)
    concluded = captured(context)
    assert concluded["verdict"] == "captured"
    assert "report" not in concluded["keys"]
    assert read_record(INCIDENT).verdict == Verdict.CAPTURED
    assert read_json(account, f"{PREFIX}incident.json")["problems"] == ["report.html: RuntimeError('no paper')"]
    assert "Problem: report.html" in account.messages[0]
    assert _link(account) == ""


@pytest.mark.usefixtures("incident")
def test_a_table_that_does_not_tell_of_repeats_leaves_them_out(account: Account, context: Any) -> None:
    account.fail("Query", "ThrottlingException")
    captured(context)
    page = parse(account.bucket.objects[REPORT].data.decode())
    assert "trace" in page.by_id()
    assert "similar" not in page.by_id()
    assert INDEX_KEY not in account.bucket.objects


@pytest.mark.usefixtures("incident")
def test_a_later_execution_that_finds_nothing_leaves_the_report_alone(account: Account, context: Any) -> None:
    captured(context)
    before = account.bucket.objects[REPORT].version
    conclude(context, incident=OPENED, error={"Error": "VmcoreNotFound", "Cause": ""}, executionName="another")
    assert account.bucket.objects[REPORT].version == before
    index = parse(account.bucket.objects[INDEX_KEY].data.decode())
    assert [each.text for each in index.elements if "tone" in (each.attributes.get("class") or "")] == ["captured"]
