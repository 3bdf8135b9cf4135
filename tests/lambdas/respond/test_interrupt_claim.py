"""The claim against DynamoDB's answers: one transaction over the incident, the cooldown and every budget."""

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.incident.record import Incident, State
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.incident.update_expression import serialize
from lambdas.respond.claim import PastInterrupts, Place, claim, past_interrupts
from lambdas.runtime import clients
from lambdas.runtime.environment import InterruptLimits
from lambdas.runtime.errors import BudgetsUnread
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.conftest import VARIABLES

LIMITS = InterruptLimits.model_validate(VARIABLES | {"FLEET_BUDGET": "4", "ZONE_BUDGET": "2", "GROUP_BUDGET": "1"})
INCIDENT = Incident(incident_id="20261123T040000Z-i-0123456789abcdef0", instance_id="i-0123456789abcdef0")
WEB_IN_A = Place("eu-west-1a", "web")
ALONE_IN_A = Place("eu-west-1a")


def take(incident: Incident, place: Place = WEB_IN_A, limits: InterruptLimits = LIMITS) -> str | None:
    return claim(aws.TABLE, incident, place, limits=limits, now=aws.NOW)


def past(place: Place = WEB_IN_A) -> PastInterrupts:
    return past_interrupts(aws.TABLE, INCIDENT.instance_id, place, limits=LIMITS, now=aws.NOW)


def other(number: int) -> Incident:
    """Of another instance."""
    instance_id = f"i-{number:017x}"
    return Incident(incident_id=f"20261123T040000Z-{instance_id}", instance_id=instance_id)


@pytest.fixture(autouse=True)
def no_waiting(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.fixture
def table(account: Account) -> IncidentTable:
    return IncidentTable(aws.TABLE)


def cancelled(*codes: str) -> ClientError:
    reasons: Any = [{"Code": code} for code in codes]
    response: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    return ClientError(response, "TransactWriteItems")


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (("ConditionalCheckFailed", "None", "None"), "duplicate"),
        (("None", "ConditionalCheckFailed", "None"), "cooldown"),
        (("None", "None", "ConditionalCheckFailed"), "fleet-budget-spent"),
        (("None", "None", "None", "ConditionalCheckFailed", "None"), "zone-budget-spent"),
        (("None", "None", "None", "None", "ConditionalCheckFailed"), "group-budget-spent"),
        (("None", "None", "None", "ConditionalCheckFailed", "ConditionalCheckFailed"), "zone-budget-spent"),
        (("ConditionalCheckFailed", "ConditionalCheckFailed", "ConditionalCheckFailed"), "duplicate"),
        (("None", "ConditionalCheckFailed", "TransactionConflict"), "cooldown"),
    ],
)
def test_the_condition_that_failed_names_the_refusal(
    account: Account, table: IncidentTable, codes: tuple[str, ...], reason: str
) -> None:
    account.errors["TransactWriteItems"] = cancelled(*codes)
    assert take(INCIDENT) == reason


def test_a_conflict_with_another_claim_is_tried_again_with_the_same_token(
    account: Account, table: IncidentTable
) -> None:
    account.errors["TransactWriteItems"] = cancelled("None", "None", "TransactionConflict")

    def give_way() -> None:
        if len(account.named("TransactWriteItems")) == 3:
            account.heal()

    account.meetings["TransactWriteItems"] = give_way
    assert take(INCIDENT) is None
    tokens = {call["ClientRequestToken"] for call in account.named("TransactWriteItems")}
    assert len(tokens) == 1


def test_a_claim_that_never_gets_through_is_an_error_and_no_interrupt(account: Account, table: IncidentTable) -> None:
    account.errors["TransactWriteItems"] = cancelled("None", "None", "TransactionConflict")
    with pytest.raises(ClientError):
        take(INCIDENT)
    assert table.read(INCIDENT.incident_id) is None


def test_a_refused_claim_charges_nothing(account: Account, table: IncidentTable) -> None:
    assert take(INCIDENT) is None
    assert take(INCIDENT) == "duplicate"
    later = INCIDENT.model_copy(update={"incident_id": "20261123T040100Z-i-0123456789abcdef0"})
    assert take(later) == "cooldown"
    taken = PastInterrupts(
        int(aws.NOW.timestamp()), in_window=1, in_zone=1, in_group=1, open_incident=INCIDENT.incident_id
    )
    assert past() == taken
    assert table.read(later.incident_id) is None


@pytest.mark.parametrize(
    ("places", "reasons"),
    [
        pytest.param([WEB_IN_A, Place("eu-west-1b", "web")], [None, "group-budget-spent"], id="group-over-two-zones"),
        pytest.param([ALONE_IN_A] * 3, [None, None, "zone-budget-spent"], id="zone"),
        pytest.param(
            [WEB_IN_A, Place("eu-west-1a", "db"), ALONE_IN_A], [None, None, "zone-budget-spent"], id="zone-over-groups"
        ),
        pytest.param(
            [Place(f"eu-west-1{zone}") for zone in "aabbc"],
            [None, None, None, None, "fleet-budget-spent"],
            id="fleet-over-zones",
        ),
        # A group may be called what it likes.
        pytest.param([Place("eu-west-1a", "#zone#eu-west-1a"), ALONE_IN_A], [None, None], id="group-named-like-a-zone"),
    ],
)
def test_each_budget_is_charged_in_the_same_transaction_and_names_its_refusal(
    account: Account, places: list[Place], reasons: list[str | None]
) -> None:
    assert [take(other(number), place) for number, place in enumerate(places)] == reasons
    counted = past_interrupts(aws.TABLE, "i-1", places[0], limits=LIMITS, now=aws.NOW)
    assert counted.in_window == reasons.count(None)


def test_budgets_begin_anew_with_the_next_window(account: Account) -> None:
    assert take(INCIDENT) is None
    assert take(other(1)) == "group-budget-spent"
    next_hour = aws.NOW + timedelta(hours=1)
    assert claim(aws.TABLE, other(1), WEB_IN_A, limits=LIMITS, now=next_hour) is None


def test_who_waits_for_a_budget_that_is_spent_meanwhile_stops_waiting(account: Account) -> None:
    account.errors["TransactWriteItems"] = cancelled("None", "None", "TransactionConflict", "None", "None")

    def somebody_else_takes_the_last() -> None:
        account.heal()
        account.meetings.clear()
        assert take(other(1)) is None
        account.errors["TransactWriteItems"] = cancelled("None", "None", "TransactionConflict", "None", "None")

    account.meetings["TransactWriteItems"] = somebody_else_takes_the_last
    assert take(INCIDENT) == "group-budget-spent"
    assert len(account.named("TransactWriteItems")) == 2


def test_a_table_that_leaves_items_unread_has_said_nothing(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def throttled(_: Any) -> dict[str, Any]:
        return {"Responses": {}, "UnprocessedKeys": {aws.TABLE: {"Keys": [{"pk": {"S": "budget#0"}}]}}}

    monkeypatch.setattr(account, "_BatchGetItem", throttled, raising=False)
    with pytest.raises(BudgetsUnread):
        past()


@pytest.mark.parametrize("budget", ["fleet_budget", "zone_budget", "group_budget"])
def test_a_budget_of_nothing_claims_nothing(account: Account, budget: str) -> None:
    nothing = LIMITS.model_copy(update={budget: 0})
    assert take(INCIDENT, limits=nothing) == f"{budget.replace('_budget', '')}-budget-spent"
    assert account.named("TransactWriteItems") == []


def test_a_claim_keeps_what_an_opened_record_has(account: Account, table: IncidentTable) -> None:
    opened = INCIDENT.model_copy(
        update={"dump_deadline_epoch": 7, "timeline": [{"at": "2026-11-23T04:00:00Z", "event": "requested"}]}
    )
    create_incident(table.name, opened)
    claimed = {"at": "2026-11-23T04:00:30Z", "event": "claimed"}
    take(opened.model_copy(update={"timeline": [claimed]}))
    known = table.read(INCIDENT.incident_id)
    assert known is not None
    assert known.state == State.INTERRUPTING
    assert known.dump_deadline_epoch == 7
    assert [entry["event"] for entry in known.timeline] == ["requested", "claimed"]


@pytest.mark.parametrize("state", [state for state in State if state != State.OPENED])
def test_nothing_but_an_opened_record_can_be_claimed(account: Account, table: IncidentTable, state: State) -> None:
    create_incident(table.name, INCIDENT.model_copy(update={"state": state}))
    assert take(INCIDENT) == "duplicate"


def test_every_item_but_the_record_expires_after_it_stopped_to_count(account: Account, table: IncidentTable) -> None:
    take(INCIDENT)
    (call,) = account.named("TransactWriteItems")
    for member in call["TransactItems"]:
        update = member["Update"]
        kind = update["Key"]["pk"]["S"].split("#")[0]
        expiries = [
            int(update["ExpressionAttributeValues"][assignment.split(" = ")[1]]["N"])
            for assignment in update["UpdateExpression"].removeprefix("SET ").split(" ADD ")[0].split(", ")
            if assignment.startswith("#expiresAtEpoch")
        ]
        assert len(expiries) == (0 if kind == "incident" else 1), kind
        for expiry in expiries:
            assert expiry > aws.NOW.timestamp() + LIMITS.cooldown_seconds


TWIN_IN_A = Place("eu-west-1a", drill="monday")


def open_drill(twin_id: str, **more: int) -> None:
    """The record of a drill that has launched this twin."""
    item = {"pk": "drill#monday", "twinId": twin_id, **more}
    clients.dynamodb().put_item(TableName=aws.TABLE, Item=serialize(item))


def test_the_interrupt_of_a_twin_is_charged_to_its_drill_alone(table: IncidentTable) -> None:
    open_drill(INCIDENT.instance_id)

    assert take(INCIDENT, TWIN_IN_A) is None

    assert past(TWIN_IN_A).is_drill_open is False
    assert past() == replace(past(), in_window=0, in_zone=0, in_group=0, is_drill_open=None)


def test_a_drill_has_one_interrupt(table: IncidentTable) -> None:
    open_drill(INCIDENT.instance_id, count=1)
    assert take(INCIDENT, TWIN_IN_A) == "drill-spent"


@pytest.mark.parametrize("twin", ["", "i-0fedcba9876543210"], ids=["no record", "of another twin"])
def test_a_tag_without_a_drill_whose_twin_it_is_gives_no_interrupt(table: IncidentTable, twin: str) -> None:
    if twin:
        open_drill(twin)
    assert past(TWIN_IN_A).is_drill_open is False
    assert take(INCIDENT, TWIN_IN_A) == "drill-spent"


def test_a_twin_is_interrupted_when_the_budgets_of_the_fleet_are_spent(table: IncidentTable) -> None:
    for number in range(2):
        assert take(other(number), ALONE_IN_A) is None
    assert take(other(2), ALONE_IN_A) == "zone-budget-spent"
    open_drill(INCIDENT.instance_id)

    assert take(INCIDENT, TWIN_IN_A) is None
