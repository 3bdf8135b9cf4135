"""Incidents by time and by signature, as the table's indexes give them."""

from typing import Any

import pytest

from lambdas.incident.index import IncidentIndex
from lambdas.incident.index_fields import index_fields
from lambdas.incident.record import Incident, State, Verdict
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.runtime import clients
from tests.lambdas import account as aws
from tests.lambdas.account import Account

ID = "i-0123456789abcdef0"
INDEX = IncidentIndex(aws.TABLE)


def _concluded(minute: int, signature: str = "", **fields: Any) -> str:
    name = f"20261123T04{minute:02}00Z-{ID}"
    opened = Incident(incident_id=name, instance_id=ID, opened_at=f"2026-11-23T04:{minute:02}:00Z")
    create_incident(aws.TABLE, opened)
    given = {"verdict": "captured", "signature": signature, "keys": {"report": f"{name}.html"}} | fields
    IncidentTable(aws.TABLE).update(name, given | index_fields(signature))
    return name


@pytest.mark.usefixtures("account")
def test_the_newest_come_first_and_no_more_than_asked_for() -> None:
    names = [_concluded(minute) for minute in (5, 1, 9)]
    listed = INDEX.newest(2)
    assert [each.incident_id for each in listed.incidents] == [names[2], names[0]]
    assert listed.is_cut
    assert not INDEX.newest(3).is_cut


@pytest.mark.usefixtures("account")
def test_repeats_are_found_by_their_signature_without_the_incident_itself() -> None:
    _concluded(1, "other")
    first, own, last = (_concluded(minute, "abc") for minute in (2, 3, 4))
    found = INDEX.similar("abc", but=own)
    assert [each.incident_id for each in found] == [last, first]
    assert found[0].report_key == f"{last}.html"
    assert found[0].opened_at is not None


@pytest.mark.usefixtures("account")
def test_what_is_unknown_repeats_nothing(account: Account) -> None:
    _concluded(1)
    _concluded(2)
    account.calls.clear()
    assert INDEX.similar("", but="") == []
    assert account.calls == []


@pytest.mark.usefixtures("account")
def test_a_refusal_is_listed_with_its_reason() -> None:
    refused = Incident(
        incident_id="r",
        instance_id=ID,
        opened_at="2026-11-23T04:00:00Z",
        state=State.REFUSED,
        verdict=Verdict.REFUSED,
        reason="cooldown",
    )
    create_incident(aws.TABLE, refused)
    (listed,) = INDEX.newest().incidents
    assert (listed.verdict, listed.refusal) == ("refused", "cooldown")


@pytest.mark.usefixtures("account")
def test_other_items_of_the_table_are_not_listed() -> None:
    clients.dynamodb().put_item(TableName=aws.TABLE, Item={"pk": {"S": f"instance#{ID}"}})
    assert INDEX.newest().incidents == []


@pytest.mark.usefixtures("account")
def test_what_is_under_way_touches_no_index_on_which_its_claim_could_wait() -> None:
    opened = Incident(incident_id="o", instance_id=ID, opened_at="2026-11-23T04:00:00Z")
    create_incident(aws.TABLE, opened)
    assert INDEX.newest().incidents == []
