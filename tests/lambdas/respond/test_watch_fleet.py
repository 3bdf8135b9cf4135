"""What the watcher finds, how often it asks, and what people hear of that."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from lambdas.handlers import respond_to_hang, watch_fleet
from lambdas.incident.table import IncidentTable
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.alarm_events import alarm_action, query
from tests.lambdas.conftest import Clock, Launch

SINCE = aws.NOW - timedelta(minutes=3)


@pytest.fixture(autouse=True)
def _function_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPOND_TO_HANG", "Hangdump-respond_to_hang")


def watch(context: Any) -> list[str]:
    """The instances that one minute asks about."""
    asked: list[str] = watch_fleet.handler({}, context)["asked"]
    return asked


def questions(account: Account) -> list[dict[str, Any]]:
    return [json.loads(call["Payload"]) for call in account.named("Invoke")]


def test_finds_the_impaired_and_the_silent_that_are_enrolled_ready_and_running(
    account: Account, launch: Launch, context: Any
) -> None:
    impaired, silent, other, unready = launch(), launch(), launch(tags={}), launch(tags={"hangdump:enrolled": "true"})
    account.impaired_fleet = {impaired: SINCE, other: SINCE, "i-0123456789abcdef0": SINCE}
    account.silent_fleet = {silent: SINCE, unready: SINCE}
    assert sorted(watch(context)) == sorted([impaired, silent])
    assert {each["instanceId"] for each in questions(account)} == {impaired, silent}


def test_a_quiet_fleet_costs_two_calls(account: Account, launch: Launch, context: Any) -> None:
    launch()
    assert watch(context) == []
    assert [call.operation for call in account.calls] == ["DescribeInstanceInformation", "DescribeInstanceStatus"]


def test_asks_again_less_and_less_often_while_the_suspicion_lasts(
    account: Account, instance_id: str, context: Any, clock: Clock
) -> None:
    account.silent_fleet = {instance_id: SINCE}
    asked = []
    for minute in range(200):
        if watch(context):
            asked.append(minute)
        clock.at += timedelta(minutes=1)
    assert asked == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_another_hang_of_the_same_instance_is_asked_about_at_once(
    account: Account, instance_id: str, context: Any, clock: Clock
) -> None:
    account.silent_fleet = {instance_id: SINCE}
    for _ in range(5):
        watch(context)
        clock.at += timedelta(minutes=1)
    account.silent_fleet = {instance_id: clock.at}
    assert watch(context) == [instance_id]


def test_two_watchers_in_one_minute_ask_once(account: Account, instance_id: str, context: Any) -> None:
    account.silent_fleet = {instance_id: SINCE}
    assert watch(context) + watch(context) == [instance_id]


def respond(account: Account, context: Any) -> list[dict[str, Any]]:
    """What respond_to_hang makes of the questions so far."""
    answers = [respond_to_hang.handler(each, context) for each in questions(account)]
    account.calls = [call for call in account.calls if call.operation != "Invoke"]
    return answers


def watch_for(minutes: int, account: Account, context: Any, clock: Clock) -> list[str]:
    """The reasons of all answers in so many minutes."""
    reasons: list[str] = []
    for _ in range(minutes):
        watch(context)
        reasons += [answer["reason"] for answer in respond(account, context)]
        clock.at += timedelta(minutes=1)
    return reasons


def conclude_the_interrupt_of(account: Account, instance_id: str, context: Any, verdict: str) -> None:
    """The watcher finds the hang, and its incident has ended."""
    account.impaired_fleet = {instance_id: account.impaired_since}
    watch(context)
    (answer,) = respond(account, context)
    IncidentTable(aws.TABLE).update(answer["incidentId"], {"state": "concluded", "verdict": verdict})


def test_a_hang_without_an_alarm_is_interrupted(account: Account, instance_id: str, context: Any) -> None:
    account.impaired_fleet = {instance_id: account.impaired_since}
    watch(context)
    (answer,) = respond(account, context)
    assert answer["reason"] == "kernel-deaf"
    assert account.interrupts == [instance_id]


@pytest.mark.parametrize("reason", ["boot-grace", "maintenance-window", "evidence-missing"])
def test_a_refusal_whose_reason_passes_is_asked_again_and_told_once(
    account: Account, launch: Launch, context: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    instance_id = launch()
    account.impaired_fleet = {instance_id: account.impaired_since}
    if reason == "boot-grace":
        account.console = "Cloud-init v. 24.1 finished at Mon, 23 Nov 2026 03:58:40 +0000. Up 20 seconds"
        monkeypatch.setenv("READY_ACROSS_BOOTS", "true")
    elif reason == "maintenance-window":
        monkeypatch.setenv("MAINTENANCE_WINDOWS", '["mon 04:00-04:02"]')
    else:
        account.instance_status = "insufficient-data"
    seen: list[str] = []
    for _ in range(4):
        watch(context)
        seen += [answer["reason"] for answer in respond(account, context)]
        clock.at += timedelta(minutes=1)
        if len(seen) == 2:
            account.instance_status = "impaired"
    assert seen == [reason, reason, "kernel-deaf"]
    assert account.interrupts == [instance_id]
    told = [message.splitlines()[0] for message in account.messages]
    assert [reason in subject for subject in told] == [True, False]


def test_silence_alone_is_told_once(account: Account, instance_id: str, context: Any, clock: Clock) -> None:
    account.instance_status = "ok"
    account.last_ping_at = aws.NOW - timedelta(minutes=13)
    account.silent_fleet = {instance_id: account.last_ping_at}
    assert set(watch_for(20, account, context, clock)) == {"suspected-hang"}
    (message,) = account.messages
    assert message.startswith(f"Hangdump: refused (suspected-hang) {instance_id}")


def test_what_the_alarm_was_refused_the_watcher_tells_no_second_time(
    account: Account, launch: Launch, context: Any
) -> None:
    account.attached_ebs_status = "impaired"
    instance_id = launch()
    account.impaired_fleet = {instance_id: account.impaired_since}
    respond_to_hang.handler(alarm_action(query(instance_id)), context)
    watch(context)
    assert [answer["reason"] for answer in respond(account, context)] == ["ebs-check-failed"]
    (message,) = account.messages
    assert "ebs-check-failed" in message


def test_an_alarm_on_a_hang_that_the_watcher_has_interrupted_is_no_news(
    account: Account, instance_id: str, context: Any
) -> None:
    account.impaired_fleet = {instance_id: account.impaired_since}
    watch(context)
    (answer,) = respond(account, context)
    refused = respond_to_hang.handler(alarm_action(query(instance_id)), context)
    assert refused["reason"] == "incident-open"
    assert IncidentTable(aws.TABLE).read(refused["incidentId"]) is None
    (message,) = account.messages
    assert "was interrupted" in message
    assert answer["incidentId"] in message


@pytest.mark.parametrize("is_over", ["agent-pinged", "nobody-asked-for-hours"])
def test_the_next_hang_that_is_refused_for_the_same_reason_is_told_again(
    account: Account, instance_id: str, context: Any, clock: Clock, is_over: str
) -> None:
    account.attached_ebs_status = "impaired"
    respond_to_hang.handler(alarm_action(query(instance_id)), context)
    clock.at += timedelta(hours=3 if is_over == "nobody-asked-for-hours" else 1)
    if is_over == "agent-pinged":
        account.last_ping_at = clock.at - timedelta(minutes=4)
    at = f"{clock.at:%Y-%m-%dT%H:%M:%S}.000+0000"
    respond_to_hang.handler(alarm_action(query(instance_id), at=at), context)
    assert len(account.messages) == 2


def test_a_second_hang_within_the_cooldown_is_told_once(
    account: Account, instance_id: str, context: Any, clock: Clock
) -> None:
    conclude_the_interrupt_of(account, instance_id, context, "captured")
    clock.at += timedelta(hours=1)
    account.last_ping_at = clock.at - timedelta(minutes=8)
    account.impaired_since = clock.at - timedelta(minutes=5)
    account.impaired_fleet = {instance_id: account.impaired_since}
    assert set(watch_for(5, account, context, clock)) == {"cooldown"}
    assert [message.splitlines()[0] for message in account.messages] == [
        f"Hangdump: {instance_id} was interrupted (kernel-deaf)",
        f"Hangdump: refused (cooldown) {instance_id}",
    ]


def test_an_instance_that_boots_in_a_loop_after_its_dump_is_no_news(
    account: Account, instance_id: str, context: Any, clock: Clock
) -> None:
    conclude_the_interrupt_of(account, instance_id, context, "rescued")
    account.console = "[    0.000000] Linux version 6.1.0-28-cloud-amd64 (builder@host)\n"
    assert set(watch_for(5, account, context, clock)) == {"boot-grace"}
    assert len(account.messages) == 1


def test_an_impaired_instance_whose_agent_was_dead_before_is_told_once(
    account: Account, instance_id: str, context: Any, clock: Clock
) -> None:
    account.last_ping_at = account.impaired_since - timedelta(minutes=22)
    account.impaired_fleet = {instance_id: account.impaired_since}
    assert set(watch_for(5, account, context, clock)) == {"agent-was-dead"}
    assert len(account.messages) == 1


def test_an_agent_that_died_long_ago_is_no_news(account: Account, instance_id: str, context: Any) -> None:
    account.instance_status = "ok"
    account.last_ping_at = aws.NOW - timedelta(days=20)
    account.silent_fleet = {instance_id: account.last_ping_at}
    watch(context)
    assert [answer["reason"] for answer in respond(account, context)] == ["agent-was-dead"]
    assert account.messages == []


def test_a_failing_zone_is_told_once_and_loudly(account: Account, launch: Launch, context: Any) -> None:
    fleet = [launch() for _ in range(5)]
    account.impaired_fleet = dict.fromkeys(fleet, account.impaired_since)
    account.impaired_in_zone = [account.impaired_since] * 4
    watch(context)
    assert {answer["reason"] for answer in respond(account, context)} == {"correlated-failure"}
    (message,) = account.messages
    assert message.startswith("Hangdump STOPPED interrupting: correlated-failure")
    assert account.interrupts == []


def test_agents_that_fall_silent_together_are_told_once(
    account: Account, launch: Launch, context: Any, clock: Clock
) -> None:
    account.instance_status = "ok"
    account.last_ping_at = aws.NOW - timedelta(minutes=13)
    account.silent_fleet = dict.fromkeys([launch() for _ in range(8)], account.last_ping_at)
    assert set(watch_for(5, account, context, clock)) == {"correlated-failure"}
    (message,) = account.messages
    assert message.startswith("Hangdump STOPPED interrupting: correlated-failure")


def test_a_suspect_that_cannot_be_read_does_not_stop_the_others(account: Account, launch: Launch, context: Any) -> None:
    first, second = launch(), launch()
    account.silent_fleet = {first: datetime(1970, 1, 1, tzinfo=SINCE.tzinfo), second: SINCE}
    assert sorted(watch(context)) == sorted([first, second])
