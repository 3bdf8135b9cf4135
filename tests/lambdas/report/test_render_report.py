"""Reports drawn again: after an analysis, for a refusal, and the index of all."""

import json
from typing import Any

import pytest

from lambdas.handlers import render_report
from lambdas.incident.object_keys import INDEX_KEY
from lambdas.incident.record import Incident, State, Verdict
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.runtime import clients
from lambdas.runtime.errors import InvalidInput
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.endings import ID, INCIDENT, INTERRUPTED, LOG, PREFIX, captured
from tests.lambdas.report.documents import parse


@pytest.fixture
def concluded(account: Account, context: Any) -> None:
    create_incident(aws.TABLE, INTERRUPTED.model_copy(update={"opened_at": "2026-11-23T03:59:40Z"}))
    account.bucket._store(f"{PREFIX}vmcore-dmesg.txt", LOG.encode(), "", {})
    captured(context)


def _page(account: Account, key: str = f"{PREFIX}report.html") -> str:
    return account.bucket.objects[key].data.decode()


@pytest.mark.usefixtures("concluded")
def test_an_analysis_that_came_later_is_in_the_report_drawn_again(account: Account, context: Any) -> None:
    assert "a_lock_of_ours" not in _page(account)
    analysis = {"locks": [{"kind": "mutex", "holder": "cp (812)", "detail": "a_lock_of_ours"}]}
    account.bucket._store(f"{PREFIX}analysis.json", json.dumps(analysis).encode(), "", {})
    written = render_report.handler({"incidentId": INCIDENT}, context)
    assert written == {"keys": {"index": INDEX_KEY, "report": f"{PREFIX}report.html"}}
    assert "a_lock_of_ours" in _page(account)
    assert "spin_lock_for_ever" in _page(account)


@pytest.mark.parametrize("analysis", ["", "{", "[1]", '{"cpus": 7, "memory": []}'])
@pytest.mark.usefixtures("concluded")
def test_an_analysis_that_cannot_be_read_is_left_out(account: Account, context: Any, analysis: str) -> None:
    account.bucket._store(f"{PREFIX}analysis.json", analysis.encode(), "", {})
    render_report.handler({"incidentId": INCIDENT}, context)
    assert {"timeline", "trace", "custody"} <= parse(_page(account)).by_id()


@pytest.mark.usefixtures("concluded")
def test_a_record_keeps_every_key_when_its_incident_json_is_gone(account: Account, context: Any) -> None:
    records = IncidentTable(aws.TABLE)
    before = records.read(INCIDENT)
    del account.bucket.objects[f"{PREFIX}incident.json"]

    render_report.handler({"incidentId": INCIDENT}, context)

    after = records.read(INCIDENT)
    assert before is not None
    assert after is not None
    assert "vmcore" in before.keys
    assert after.keys == before.keys
    assert "vmcore" in _page(account)


def test_a_refusal_gets_a_page_with_its_evidence_and_a_link_in_the_index(account: Account, context: Any) -> None:
    refused = Incident(
        incident_id=INCIDENT,
        instance_id=ID,
        account_id=aws.ACCOUNT_ID,
        region=aws.REGION,
        opened_at="2026-11-23T04:00:00Z",
        state=State.REFUSED,
        verdict=Verdict.REFUSED,
        reason="instance-responds",
        detail="The instance executed the probe.",
        evidence={"isProbeAnswered": True},
    )
    create_incident(aws.TABLE, refused)
    render_report.handler({"incidentId": INCIDENT}, context)
    page = parse(_page(account))
    assert "evidence" in page.by_id()
    assert "instance-responds. The instance executed the probe." in page.text
    assert "Nothing, if the instance is healthy." in page.text
    links = [each.attributes["href"] or "" for each in parse(_page(account, INDEX_KEY)).elements if each.name == "a"]
    assert [link for link in links if "report.html" in link]


@pytest.mark.usefixtures("concluded")
def test_nothing_asked_for_is_the_index_alone(account: Account, context: Any) -> None:
    account.calls.clear()
    assert render_report.handler({}, context) == {"keys": {"index": INDEX_KEY}}
    assert [call["Key"] for call in account.named("PutObject")] == [INDEX_KEY]
    stored = account.bucket.objects[INDEX_KEY].parameters
    assert (stored["ServerSideEncryption"], stored["SSEKMSKeyId"]) == ("aws:kms", aws.KEY_ARN)
    assert stored["ContentType"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("event", [{"incidentId": "no-such"}, {"incident": 1}, {"incidentId": None}])
def test_what_is_no_incident_is_refused(account: Account, context: Any, event: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        render_report.handler(event, context)
    assert account.named("PutObject") == []


@pytest.mark.usefixtures("concluded")
def test_a_repeat_names_the_incident_before_it(account: Account, context: Any) -> None:
    later = INCIDENT.replace("T04", "T05")
    opened = INTERRUPTED.model_copy(update={"incident_id": later, "opened_at": "2026-11-23T05:00:00Z"})
    create_incident(aws.TABLE, opened)
    signature = clients.dynamodb().get_item(TableName=aws.TABLE, Key={"pk": {"S": f"incident#{INCIDENT}"}})["Item"]
    prefix = PREFIX.replace(INCIDENT, later)
    triage = {"signature": signature["signature"]["S"], "sentence": "It hung."}
    account.bucket._store(f"{prefix}triage.json", json.dumps(triage).encode(), "", {})
    render_report.handler({"incidentId": later}, context)
    page = parse(_page(account, f"{prefix}report.html"))
    assert "Seen once before, always on this instance, first on 23 November 2026." in page.text
    assert INCIDENT in page.text
