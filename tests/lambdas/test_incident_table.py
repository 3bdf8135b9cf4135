"""The claim and the record, against DynamoDB's answers."""

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.environment import InterruptLimits
from lambdas.incident import Incident, State
from lambdas.incident_table import IncidentTable
from tests.lambdas import account as aws
from tests.lambdas.account import Account

LIMITS = InterruptLimits.model_validate(
    {"COOLDOWN_SECONDS": 3600, "FLEET_BUDGET": 3, "FLEET_BUDGET_WINDOW_SECONDS": 3600, "DRY_RUN": False}
)
INCIDENT = Incident(incident_id="20261123T040000Z-i-0123456789abcdef0", instance_id="i-0123456789abcdef0")


@pytest.fixture
def table(account: Account, monkeypatch: pytest.MonkeyPatch) -> IncidentTable:
    monkeypatch.setattr(time, "sleep", lambda _: None)
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
        (("ConditionalCheckFailed", "ConditionalCheckFailed", "ConditionalCheckFailed"), "duplicate"),
        (("None", "ConditionalCheckFailed", "TransactionConflict"), "cooldown"),
    ],
)
def test_the_condition_that_failed_names_the_refusal(
    account: Account, table: IncidentTable, codes: tuple[str, ...], reason: str
) -> None:
    account.errors["TransactWriteItems"] = cancelled(*codes)
    assert table.claim(INCIDENT, limits=LIMITS, now=aws.NOW) == reason


def test_a_conflict_with_another_claim_is_tried_again_with_the_same_token(
    account: Account, table: IncidentTable
) -> None:
    account.errors["TransactWriteItems"] = cancelled("None", "None", "TransactionConflict")

    def give_way() -> None:
        if len(account.named("TransactWriteItems")) == 3:
            account.heal()

    account.meetings["TransactWriteItems"] = give_way
    assert table.claim(INCIDENT, limits=LIMITS, now=aws.NOW) is None
    tokens = {call["ClientRequestToken"] for call in account.named("TransactWriteItems")}
    assert len(tokens) == 1


def test_a_claim_that_never_gets_through_is_an_error_and_no_interrupt(account: Account, table: IncidentTable) -> None:
    account.errors["TransactWriteItems"] = cancelled("None", "None", "TransactionConflict")
    with pytest.raises(ClientError):
        table.claim(INCIDENT, limits=LIMITS, now=aws.NOW)
    assert table.read(INCIDENT.incident_id) is None


def test_a_refused_claim_charges_nothing(account: Account, table: IncidentTable) -> None:
    assert table.claim(INCIDENT, limits=LIMITS, now=aws.NOW) is None
    assert table.claim(INCIDENT, limits=LIMITS, now=aws.NOW) == "duplicate"
    other = INCIDENT.model_copy(update={"incident_id": "20261123T040100Z-i-0123456789abcdef0"})
    assert table.claim(other, limits=LIMITS, now=aws.NOW) == "cooldown"
    past = table.past_interrupts(INCIDENT.instance_id, window_seconds=3600, now=aws.NOW)
    assert past.interrupts_in_window == 1
    assert table.read(other.incident_id) is None


def test_a_budget_of_nothing_claims_nothing(account: Account, table: IncidentTable) -> None:
    nothing = LIMITS.model_copy(update={"fleet_budget": 0})
    assert table.claim(INCIDENT, limits=nothing, now=aws.NOW) == "fleet-budget-spent"
    assert account.named("TransactWriteItems") == []


def test_a_claim_keeps_what_an_opened_record_has(account: Account, table: IncidentTable) -> None:
    opened = INCIDENT.model_copy(
        update={"dump_deadline_epoch": 7, "timeline": [{"at": "2026-11-23T04:00:00Z", "event": "requested"}]}
    )
    table.create(opened)
    claimed = {"at": "2026-11-23T04:00:30Z", "event": "claimed"}
    table.claim(opened.model_copy(update={"timeline": [claimed]}), limits=LIMITS, now=aws.NOW)
    known = table.read(INCIDENT.incident_id)
    assert known is not None
    assert known.state == State.INTERRUPTING
    assert known.dump_deadline_epoch == 7
    assert [entry["event"] for entry in known.timeline] == ["requested", "claimed"]


@pytest.mark.parametrize("state", [state for state in State if state != State.OPENED])
def test_nothing_but_an_opened_record_can_be_claimed(account: Account, table: IncidentTable, state: State) -> None:
    table.create(INCIDENT.model_copy(update={"state": state}))
    assert table.claim(INCIDENT, limits=LIMITS, now=aws.NOW) == "duplicate"


def test_an_update_for_another_state_changes_nothing(account: Account, table: IncidentTable) -> None:
    table.create(INCIDENT)
    assert not table.update(INCIDENT.incident_id, {"reason": "late"}, only_in=[State.INTERRUPTING, State.CONCLUDED])
    known = table.read(INCIDENT.incident_id)
    assert known is not None
    assert known.reason is None


def test_every_item_but_the_record_expires_after_it_stopped_to_count(account: Account, table: IncidentTable) -> None:
    table.claim(INCIDENT, limits=LIMITS, now=aws.NOW)
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
