"""Standby before an interrupt: in which order, when there is none, and what becomes of the interrupt then."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from lambdas.handlers import send_diagnostic_interrupt
from lambdas.incident.record import Incident, State
from lambdas.incident.table import create_incident
from tests.lambdas import account as aws
from tests.lambdas.account import Account, Crash, read_record
from tests.lambdas.alarm_events import alarm_action, query
from tests.lambdas.auto_scaling_group import GROUP, AutoScalingGroup
from tests.lambdas.conftest import Deliver

Interrupt = Callable[[], tuple[str, str]]


@pytest.fixture
def group(account: Account, instance_id: str) -> AutoScalingGroup:
    return AutoScalingGroup(account)


@pytest.fixture
def incident_id(instance_id: str) -> str:
    return f"20261123T040000Z-{instance_id}"


@pytest.fixture(params=["alarm", "by-hand"])
def interrupt(
    request: pytest.FixtureRequest, account: Account, instance_id: str, incident_id: str, deliver: Deliver, context: Any
) -> Interrupt:
    """Both ways to an interrupt; gives the decision and its reason."""

    def by_alarm() -> tuple[str, str]:
        answer = deliver(alarm_action(query(instance_id)))
        return answer["decision"], answer["reason"]

    def by_hand() -> tuple[str, str]:
        opened = Incident(incident_id=incident_id, instance_id=instance_id, origin="manual")
        create_incident(aws.TABLE, opened)
        event = {"incidentId": incident_id, "instanceId": instance_id}
        answer = send_diagnostic_interrupt.handler(event, context)
        return answer["decision"], answer["reason"]

    return by_alarm if request.param == "alarm" else by_hand


def operations(account: Account) -> list[str]:
    return [call.operation for call in account.calls]


def events(incident_id: str) -> list[str]:
    return [entry["event"] for entry in read_record(incident_id).timeline]


def test_an_instance_in_no_group_is_interrupted_as_ever(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, instance_id: str, incident_id: str
) -> None:
    group.lifecycle_state = ""
    assert interrupt()[0] == "interrupt"
    assert account.interrupts == [instance_id]
    assert group.history == []
    assert not read_record(incident_id).auto_scaling_group


def test_it_is_written_down_then_entered_then_waited_for_then_interrupted(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, instance_id: str, incident_id: str
) -> None:
    group.drains_seconds = 20
    seen = []
    account.meetings["EnterStandby"] = lambda: seen.append(read_record(incident_id).auto_scaling_group)
    account.meetings["SendDiagnosticInterrupt"] = lambda: seen.append(group.lifecycle_state)

    assert interrupt()[0] == "interrupt"

    assert seen == [GROUP, "Standby"]
    assert group.is_replaced is True
    assert account.interrupts == [instance_id]
    assert read_record(incident_id).auto_scaling_group == GROUP
    told = [event for event in events(incident_id) if event in ("claimed", "entering-standby", "in-standby")]
    assert told == ["claimed", "entering-standby", "in-standby"]


def test_what_others_put_in_standby_is_theirs_to_bring_back(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, incident_id: str
) -> None:
    group.lifecycle_state = "Standby"
    assert interrupt()[0] == "interrupt"
    assert group.history == []
    assert not read_record(incident_id).auto_scaling_group


@pytest.mark.parametrize("state", ["Terminating", "Terminating:Wait", "Terminating:Proceed"])
def test_what_the_group_already_terminates_is_interrupted_at_once(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, incident_id: str, instance_id: str, state: str
) -> None:
    group.lifecycle_state = state
    assert interrupt()[0] == "interrupt"
    assert account.interrupts == [instance_id]
    assert group.history == []
    assert "terminating" in events(incident_id)


@pytest.mark.parametrize("is_refused", [True, False], ids=["before-it-is-asked", "while-it-enters"])
@pytest.mark.parametrize("state", ["Terminating", "Terminating:Wait", "Terminating:Proceed"])
def test_what_the_group_begins_to_terminate_on_the_way_into_standby_is_interrupted_at_once(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, incident_id: str, state: str, is_refused: bool
) -> None:
    enter = account._EnterStandby  # type: ignore[attr-defined]

    def terminate(parameters: dict[str, Any]) -> dict[str, Any]:
        if not is_refused:
            enter(parameters)
        group.lifecycle_state, group.standby_at = state, None
        return dict(enter(parameters)) if is_refused else {"Activities": []}

    account._EnterStandby = terminate  # type: ignore[attr-defined]
    assert interrupt()[0] == "interrupt"
    assert len(account.interrupts) == 1
    assert "terminating" in events(incident_id)
    assert "in-standby" not in events(incident_id)


@pytest.mark.parametrize("state", ["Pending:Wait", "Detaching", "Warmed:Running"])
def test_in_any_other_lifecycle_state_it_is_refused(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, incident_id: str, state: str
) -> None:
    group.lifecycle_state = state
    assert interrupt() == ("refuse", "standby-unavailable")
    assert account.interrupts == []
    record = read_record(incident_id)
    assert record.state == State.INTERRUPT_REFUSED
    assert f"It is {state} in the Auto Scaling group {GROUP}." in (record.detail or "")
    assert not record.auto_scaling_group


def test_a_group_that_refuses_is_a_refusal_and_there_is_nothing_to_bring_back(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, incident_id: str
) -> None:
    account.fail("EnterStandby", "AccessDenied")
    assert interrupt() == ("refuse", "standby-unavailable")
    assert account.interrupts == []
    assert "refused Standby" in (read_record(incident_id).detail or "")
    assert not read_record(incident_id).auto_scaling_group


def test_auto_scaling_that_cannot_be_asked_is_a_refusal(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt
) -> None:
    account.fail("DescribeAutoScalingInstances", "AccessDenied")
    assert interrupt() == ("refuse", "standby-unavailable")
    assert account.interrupts == []


def test_standby_is_waited_for_no_longer_than_the_setting_says(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, incident_id: str
) -> None:
    group.drains_seconds = None
    assert interrupt() == ("refuse", "standby-unavailable")
    assert account.interrupts == []
    assert "EnteringStandby in the Auto Scaling group shop after 360 s" in (read_record(incident_id).detail or "")
    # It gets there some time, and has to be brought back then.
    assert read_record(incident_id).auto_scaling_group == GROUP


def test_an_answer_that_was_lost_is_read_from_the_lifecycle_state(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, instance_id: str, incident_id: str
) -> None:
    enter = account._EnterStandby  # type: ignore[attr-defined]

    def lose_the_answer(parameters: dict[str, Any]) -> None:
        enter(parameters)
        raise ReadTimeoutError(endpoint_url="https://autoscaling")

    account._EnterStandby = lose_the_answer  # type: ignore[attr-defined]
    assert interrupt()[0] == "interrupt"
    assert operations(account).count("EnterStandby") == 1
    assert account.interrupts == [instance_id]
    assert read_record(incident_id).auto_scaling_group == GROUP


def test_a_kill_switch_that_is_off_costs_no_group_a_move(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt
) -> None:
    account.interrupts_switch = "off"
    assert interrupt() == ("refuse", "kill-switch-off")
    assert group.history == []


def test_preferred_interrupts_without_standby_and_says_so(
    account: Account,
    group: AutoScalingGroup,
    interrupt: Interrupt,
    instance_id: str,
    incident_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AUTO_SCALING_STANDBY", "preferred")
    account.fail("EnterStandby", "AccessDenied")
    assert interrupt()[0] == "interrupt"
    assert account.interrupts == [instance_id]
    assert "standby-unavailable" in events(incident_id)


def test_off_never_asks_auto_scaling(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTO_SCALING_STANDBY", "off")
    assert interrupt()[0] == "interrupt"
    assert not {"DescribeAutoScalingInstances", "EnterStandby"} & set(operations(account))


def returns_asked_for(account: Account) -> list[str]:
    asked = account.named("Invoke")
    assert all(call["InvocationType"] == "Event" for call in asked)
    return [json.loads(call["Payload"])["incident"]["incidentId"] for call in asked]


@pytest.mark.parametrize("refusal", ["IncorrectInstanceState", "RequestLimitExceeded"])
def test_an_interrupt_that_ec2_refuses_has_the_instance_brought_back(
    account: Account, group: AutoScalingGroup, deliver: Deliver, instance_id: str, incident_id: str, refusal: str
) -> None:
    account.fail("SendDiagnosticInterrupt", refusal)
    assert deliver(alarm_action(query(instance_id)))["decision"] == "refuse"
    assert returns_asked_for(account) == [incident_id]


def test_a_switch_turned_off_while_the_group_drains_has_the_instance_brought_back(
    account: Account, group: AutoScalingGroup, deliver: Deliver, instance_id: str, incident_id: str
) -> None:
    def turn_off() -> None:
        account.interrupts_switch = "off"

    account.meetings["EnterStandby"] = turn_off
    assert deliver(alarm_action(query(instance_id)))["reason"] == "kill-switch-off"
    assert account.interrupts == []
    assert returns_asked_for(account) == [incident_id]


def test_a_return_that_cannot_be_asked_for_is_left_to_the_sweep(
    account: Account, group: AutoScalingGroup, deliver: Deliver, instance_id: str, incident_id: str
) -> None:
    account.fail("SendDiagnosticInterrupt", "IncorrectInstanceState")
    account.fail("Invoke", "TooManyRequestsException")
    assert deliver(alarm_action(query(instance_id)))["decision"] == "refuse"
    assert len(account.messages) == 1
    assert read_record(incident_id).auto_scaling_group == GROUP


def test_an_instance_that_answers_after_a_long_way_into_standby_is_not_interrupted(
    account: Account, group: AutoScalingGroup, deliver: Deliver, instance_id: str, incident_id: str
) -> None:
    """Somebody rebooted it meanwhile: the hang was confirmed minutes ago."""
    group.drains_seconds = 300

    def answer() -> None:
        account.probe_status = "Success"

    account.meetings["EnterStandby"] = answer
    result = deliver(alarm_action(query(instance_id)))
    assert (result["decision"], result["reason"]) == ("refuse", "instance-responds")
    assert account.interrupts == []
    assert returns_asked_for(account) == [incident_id]


def test_a_kernel_that_panics_on_a_long_way_into_standby_is_not_interrupted_and_its_dump_is_fetched(
    account: Account, group: AutoScalingGroup, interrupt: Interrupt, incident_id: str
) -> None:
    group.drains_seconds = 300
    panicked = "[  900.000000] Kernel panic - not syncing: Fatal exception\n"
    account.meetings["EnterStandby"] = lambda: setattr(account, "console", panicked)
    interrupt()
    assert account.interrupts == []
    known = read_record(incident_id)
    assert (known.state, known.decision, known.reason) == (State.PANICKED, "collect", "dump-under-way")


def test_a_hang_is_not_confirmed_again_when_standby_came_at_once(
    account: Account, group: AutoScalingGroup, deliver: Deliver, instance_id: str
) -> None:
    deliver(alarm_action(query(instance_id)))
    assert len(account.named("SendCommand")) == 1


def test_a_function_that_dies_on_the_way_into_standby_leaves_a_collection_that_brings_back(
    account: Account, group: AutoScalingGroup, deliver: Deliver, instance_id: str, incident_id: str
) -> None:
    def die() -> None:
        raise Crash("EnterStandby")

    account.meetings["EnterStandby"] = die
    with pytest.raises(Crash):
        deliver(alarm_action(query(instance_id)))
    del account.meetings["EnterStandby"]
    deliver(alarm_action(query(instance_id)))
    assert account.interrupts == []
    assert account.executions == [incident_id]
    assert read_record(incident_id).auto_scaling_group == GROUP
