"""One parameter stops every interrupt, at the last moment at which anything can."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from lambdas.handlers import send_diagnostic_interrupt
from lambdas.incident.record import Incident, State, Verdict
from lambdas.incident.table import create_incident
from lambdas.respond.kill_switch import read_stop
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.alarm_events import alarm_action, query
from tests.lambdas.conftest import Clock, Deliver


@pytest.mark.parametrize("value", ["off", "On", " on", "on\n", "true", ""])
def test_anything_but_on_stops(account: Account, value: str) -> None:
    account.interrupts_switch = value
    stop = read_stop()
    assert stop is not None
    assert stop.reason == "kill-switch-off"
    assert "/hangdump/interrupts" in stop.detail


def test_on_lets_an_interrupt_through(account: Account) -> None:
    assert read_stop() is None


@pytest.mark.parametrize("error", ["ParameterNotFound", "AccessDeniedException", "ThrottlingException", "lost"])
def test_a_switch_that_cannot_be_read_stops(account: Account, error: str) -> None:
    if error == "lost":
        account.errors["GetParameter"] = ReadTimeoutError(endpoint_url="https://ssm")
    else:
        account.fail("GetParameter", error)
    stop = read_stop()
    assert stop is not None
    assert stop.reason == "kill-switch-unreadable"


def test_it_is_read_anew_each_time(account: Account) -> None:
    assert read_stop() is None
    account.interrupts_switch = "off"
    assert read_stop() is not None


def test_turned_off_it_claims_nothing_so_that_turned_on_again_the_hang_is_interrupted(
    account: Account, deliver: Deliver, instance_id: str, clock: Clock
) -> None:
    account.interrupts_switch = "off"
    assert deliver(alarm_action(query(instance_id)))["reason"] == "kill-switch-off"
    assert account.named("TransactWriteItems") == account.named("SendCommand") == []
    account.interrupts_switch = "on"
    clock.at += timedelta(minutes=2)
    assert deliver(alarm_action(query(instance_id), at="2026-11-23T04:02:00.000+0000"))["decision"] == "interrupt"


def test_a_claim_that_it_stopped_is_given_back(
    account: Account, deliver: Deliver, instance_id: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_BUDGET", "1")
    account.meetings["TransactWriteItems"] = lambda: setattr(account, "interrupts_switch", "off")
    assert deliver(alarm_action(query(instance_id)))["reason"] == "kill-switch-off"
    account.meetings.clear()
    account.interrupts_switch = "on"
    clock.at += timedelta(minutes=2)
    assert deliver(alarm_action(query(instance_id), at="2026-11-23T04:02:00.000+0000"))["decision"] == "interrupt"
    assert account.interrupts == [instance_id]


def test_turned_off_after_the_claim_it_still_stops_the_interrupt(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    def turn_off() -> None:
        account.interrupts_switch = "off"

    account.meetings["TransactWriteItems"] = turn_off
    answer = deliver(alarm_action(query(instance_id)))
    assert (answer["decision"], answer["reason"]) == ("refuse", "kill-switch-off")
    assert account.interrupts == []
    assert account.executions == []
    known = read_record(answer["incidentId"])
    assert (known.state, known.verdict) == (State.INTERRUPT_REFUSED, Verdict.REFUSED)
    assert not known.is_crashed


def test_nothing_is_called_between_its_answer_and_the_interrupt(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    deliver(alarm_action(query(instance_id)))
    operations = [call.operation for call in account.calls]
    assert operations[operations.index("SendDiagnosticInterrupt") - 1] == "GetParameter"


def test_it_stops_an_interrupt_by_hand_too(account: Account, instance_id: str, context: Any) -> None:
    account.interrupts_switch = "off"
    name = f"20261123T040000Z-{instance_id}"
    create_incident(aws.TABLE, Incident(incident_id=name, instance_id=instance_id, origin="manual"))
    answer = send_diagnostic_interrupt.handler({"incidentId": name, "instanceId": instance_id}, context)
    assert (answer["decision"], answer["reason"]) == ("refuse", "kill-switch-off")
    assert account.interrupts == []
