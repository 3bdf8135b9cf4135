"""Invariant 1: at most one interrupt per incident, whatever is repeated, concurrent, or dies half-way."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lambdas.handlers import respond_to_hang, send_diagnostic_interrupt
from lambdas.incident.record import CRASHED, Incident, State
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.respond import budget_notice, lease
from tests.lambdas import account as aws
from tests.lambdas.account import Account, Crash, read_record
from tests.lambdas.alarm_events import alarm_action, query, state_change
from tests.lambdas.conftest import Context, Launch

# More than any response makes; the tests fail when a response ends only because of this.
_TOO_MANY_CALLS = 120


def incident_id(instance_id: str) -> str:
    return f"20261123T040000Z-{instance_id}"


def record(instance_id: str) -> Incident:
    return read_record(incident_id(instance_id))


@pytest.fixture
def large_budget(variables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for budget in ("FLEET_BUDGET", "ZONE_BUDGET"):
        monkeypatch.setenv(budget, "1000")
    monkeypatch.setattr(budget_notice, "MOST_MESSAGES", 1000)


@pytest.fixture
def no_lease(variables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the claim is left between two deliveries."""
    monkeypatch.setattr(lease, "take", lambda *_args, **_more: lease.Lease.AGAIN)


def crash_at_every_call(account: Account, launch: Launch, respond: Callable[[str], object]) -> list[tuple[str, str]]:
    """Lets a fresh instance's response die before its 1st, 2nd, … call, then repeats it twice.

    Gives for each the instance and the call that never came; checks what must hold for all of them.
    """
    crashes = []
    for number in range(_TOO_MANY_CALLS):
        instance_id = launch()
        account.crash_before_call = number
        try:
            respond(instance_id)
        except Crash as crash:
            crashes.append((instance_id, str(crash)))
        else:
            return crashes
        finally:
            account.heal()
        # `calls` goes on: what the dead one did counts.
        respond(instance_id)
        respond(instance_id)
        assert len(account.interrupts) <= 1, f"a second interrupt after a crash before {crashes[-1][1]}"
    raise AssertionError("the response never ended")


@pytest.mark.slow
@pytest.mark.usefixtures("large_budget")
def test_a_crash_before_any_call_leads_to_one_collection_and_never_to_a_second_interrupt(
    account: Account, launch: Launch
) -> None:
    # Lambda repeats it under the same request id, long before its time is over.
    context: Any = Context()
    crashes = crash_at_every_call(
        account, launch, lambda instance_id: respond_to_hang.handler(alarm_action(query(instance_id)), context)
    )
    died_before = [operation for _, operation in crashes]
    assert {"TransactWriteItems", "SendDiagnosticInterrupt", "UpdateItem", "StartExecution"} <= set(died_before)
    for instance_id, operation in crashes:
        assert incident_id(instance_id) in account.executions, f"no collection after a crash before {operation}"
        known = record(instance_id)
        assert known.state in CRASHED
        assert known.state != State.INTERRUPTING, "a crash is settled by the repetition"


@pytest.mark.usefixtures("large_budget")
def test_a_crash_between_claim_and_interrupt_gives_the_interrupt_up(account: Account, launch: Launch) -> None:
    context: Any = Context()
    instance_id = launch()
    account.meetings["SendDiagnosticInterrupt"] = _die
    with pytest.raises(Crash):
        respond_to_hang.handler(alarm_action(query(instance_id)), context)
    account.meetings.clear()
    sent_before = len(account.interrupts)
    assert record(instance_id).state == State.INTERRUPTING
    answer = respond_to_hang.handler(alarm_action(query(instance_id)), context)
    assert (answer["decision"], answer["reason"]) == ("duplicate", "already-interrupted")
    assert len(account.interrupts) == sent_before
    assert record(instance_id).state == State.INTERRUPT_UNCERTAIN


def _die() -> None:
    raise Crash("in the call itself")


@pytest.mark.usefixtures("large_budget")
def test_a_delivery_that_finds_a_dead_one_still_in_progress_starts_the_collection(
    account: Account, launch: Launch
) -> None:
    dead, living = (Context(aws_request_id=each) for each in ("dead", "living"))
    instance_id = launch()
    account.meetings["StartExecution"] = _die
    with pytest.raises(Crash):
        respond_to_hang.handler(alarm_action(query(instance_id)), dead)  # type: ignore[arg-type]
    account.meetings.clear()
    answer = respond_to_hang.handler(alarm_action(query(instance_id)), living)  # type: ignore[arg-type]
    assert answer["decision"] == "duplicate"
    assert account.executions == [incident_id(instance_id)]
    assert account.interrupts == [instance_id]


@pytest.mark.usefixtures("large_budget")
def test_a_refusal_that_dies_half_way_is_told_all_the_same(account: Account, launch: Launch) -> None:
    account.probe_status = "Success"
    context: Any = Context()
    told: dict[str, int] = {}

    def respond(instance_id: str) -> None:
        respond_to_hang.handler(alarm_action(query(instance_id)), context)
        told[instance_id] = len(account.messages)

    crashes = crash_at_every_call(account, launch, respond)
    assert account.executions == []
    published = "Publish"
    for (instance_id, operation), (_, before) in zip(crashes[1:], crashes, strict=False):
        # The one gap: published, but dead before this was written down. Twice is better than never.
        allowed = 2 if before == published and operation == "UpdateItem" else 1
        assert 1 <= told[instance_id] <= allowed, f"told {told[instance_id]} times after a crash before {operation}"


@pytest.mark.usefixtures("large_budget")
def test_two_deliveries_at_the_same_moment_send_one_interrupt(account: Account, launch: Launch) -> None:
    for _ in range(3):
        instance_id = launch()
        together = threading.Barrier(2)

        def deliver(event: dict[str, Any], together: threading.Barrier = together) -> dict[str, Any]:
            together.wait(timeout=30)
            return respond_to_hang.handler(event, Context(aws_request_id=str(event.keys())))  # type: ignore[arg-type]

        events = [alarm_action(query(instance_id)), state_change(query(instance_id))]
        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(deliver, events))
        assert account.interrupts == [instance_id]
        decisions = sorted(answer["decision"] for answer in answers)
        assert decisions in (["duplicate", "interrupt"], ["interrupt", "interrupt"])
        assert account.executions.count(incident_id(instance_id)) == 1


@pytest.mark.usefixtures("large_budget", "no_lease")
def test_the_claim_alone_keeps_two_deliveries_apart(account: Account, launch: Launch, context: Any) -> None:
    instance_id = launch()
    # Both have decided to interrupt, and neither has claimed yet.
    account.meetings["TransactWriteItems"] = threading.Barrier(2).wait
    with ThreadPoolExecutor(2) as threads:
        answers = list(
            threads.map(lambda _: respond_to_hang.handler(alarm_action(query(instance_id)), context), range(2))
        )
    assert account.interrupts == [instance_id]
    assert sorted(answer["decision"] for answer in answers) == ["duplicate", "interrupt"]
    assert account.executions == [incident_id(instance_id)]


@pytest.mark.usefixtures("no_lease")
def test_two_alarms_for_one_instance_at_the_same_moment_send_one_interrupt(
    account: Account, launch: Launch, context: Any
) -> None:
    instance_id = launch()
    account.meetings["TransactWriteItems"] = threading.Barrier(2).wait
    events = [
        alarm_action(query(instance_id), name="check", at="2026-11-23T04:00:00.000+0000"),
        alarm_action(query(instance_id), name="app", at="2026-11-23T04:00:07.000+0000"),
    ]
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda event: respond_to_hang.handler(event, context), events))
    assert account.interrupts == [instance_id]
    assert sorted(answer["reason"] for answer in answers) == ["incident-open", "kernel-deaf"]
    (message,) = account.messages
    assert "was interrupted" in message


def test_a_second_delivery_says_nothing_of_an_interrupt_that_may_yet_be_refused(
    account: Account, instance_id: str, context: Any
) -> None:
    """The first one has claimed, and waits for Auto Scaling."""
    event = alarm_action(query(instance_id))
    other: Any = Context(aws_request_id="another")
    answers = []

    def deliver_again() -> None:
        answers.append(respond_to_hang.handler(event, other))
        account.interrupts_switch = "off"

    # Read for the last time after the claim.
    reads = itertools.count()
    account.meetings["GetParameter"] = lambda: deliver_again() if next(reads) == 2 else None
    assert respond_to_hang.handler(event, context)["reason"] == "kill-switch-off"
    (second,) = answers
    assert (second["decision"], second["reason"]) == ("duplicate", "already-in-progress")
    assert account.executions == []
    (message,) = account.messages
    assert "refused (kill-switch-off)" in message


@pytest.mark.usefixtures("no_lease")
def test_a_budget_of_n_is_n_even_when_the_whole_fleet_hangs_at_once(
    account: Account, launch: Launch, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_BUDGET", "2")
    fleet = [launch() for _ in range(5)]
    account.meetings["TransactWriteItems"] = threading.Barrier(5).wait
    with ThreadPoolExecutor(5) as threads:
        answers = list(
            threads.map(lambda each: respond_to_hang.handler(alarm_action(query(each), name=each), context), fleet)
        )
    assert len(account.interrupts) == 2
    assert [answer["reason"] for answer in answers].count("fleet-budget-spent") == 3


@pytest.mark.usefixtures("no_lease")
def test_a_repetition_long_after_reads_the_record_and_does_not_even_probe(
    account: Account, instance_id: str, context: Any
) -> None:
    for _ in range(2):
        respond_to_hang.handler(alarm_action(query(instance_id)), context)
    assert len(account.named("SendCommand")) == 1
    assert account.interrupts == [instance_id]


@pytest.mark.slow
@pytest.mark.usefixtures("large_budget")
def test_an_interrupt_by_hand_that_dies_anywhere_is_never_sent_twice(
    account: Account, launch: Launch, context: Any
) -> None:
    def interrupt(instance_id: str) -> None:
        name = incident_id(instance_id)
        table = IncidentTable(aws.TABLE)
        if table.read(name) is None:
            create_incident(table.name, Incident(incident_id=name, instance_id=instance_id, origin="manual"))
        send_diagnostic_interrupt.handler({"incidentId": name, "instanceId": instance_id}, context)

    crashes = crash_at_every_call(account, launch, interrupt)
    assert "SendDiagnosticInterrupt" in [operation for _, operation in crashes]
    for instance_id, _ in crashes:
        assert record(instance_id).state in (State.INTERRUPTED, State.INTERRUPT_UNCERTAIN)
