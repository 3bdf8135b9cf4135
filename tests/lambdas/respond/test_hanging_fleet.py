"""An event that makes hundreds of instances seem to hang at once: the budgets hold to the last one, and say so once."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.ec2 import ec2_backends

from lambdas.handlers import respond_to_hang
from lambdas.incident.record import State, Verdict
from lambdas.runtime import clients
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.alarm_events import alarm_action, query

# As many as are claiming at the same moment.
THREADS = 16
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
_CONFLICT: Any = {
    "Error": {"Code": "TransactionCanceledException"},
    "CancellationReasons": [{"Code": "None"}, {"Code": "None"}, {"Code": "TransactionConflict"}],
}


@pytest.fixture(autouse=True)
def crowd(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """No probe is executed; the first claims meet, and half of all attempts conflict, as DynamoDB answers a crowd.

    None of them five times in a row: a claim gives up after six, and Lambda repeats the event, which nobody does here.
    """
    account.probe_status = "DeliveryTimedOut"
    monkeypatch.setattr(time, "sleep", lambda _: None)
    together = threading.Barrier(THREADS)
    attempts = itertools.count()
    chance = random.Random(500)  # noqa: S311 - a seed, so that it is the same each time
    own = threading.local()

    def meet() -> None:
        before = getattr(own, "conflicts", 0)
        own.conflicts = 0
        if next(attempts) < THREADS:
            together.wait(timeout=60)
        elif chance.random() < 0.5 and before < 4:
            own.conflicts = before + 1
            raise ClientError(_CONFLICT, "TransactWriteItems")

    account.meetings["TransactWriteItems"] = meet


def launch_fleet(size: int, *, groups: int) -> Iterator[tuple[str, str, str]]:
    """Enrolled and ready; (instance, zone, group), spread evenly over both."""
    ec2: Any = clients.ec2()
    backend = ec2_backends[aws.ACCOUNT_ID][aws.REGION]
    for number, zone in enumerate(ZONES):
        count = len(range(number, size, len(ZONES)))
        launched = ec2.run_instances(
            ImageId="ami-12c6146b",
            InstanceType="m5.large",
            MinCount=count,
            MaxCount=count,
            Placement={"AvailabilityZone": zone},
        )["Instances"]
        for index, each in enumerate(launched):
            instance_id, group = each["InstanceId"], f"group-{index % groups}"
            backend.get_instance(instance_id).launch_time = aws.LAUNCHED_AT
            tags = {"hangdump:enrolled": "true", "hangdump:ready": "2026-11-22T00:00:00Z"}
            # Only Auto Scaling itself can set this one.
            backend.create_tags([instance_id], tags | {"aws:autoscaling:groupName": group})
            yield instance_id, zone, group


def all_hang(fleet: list[tuple[str, str, str]], context: Any) -> list[dict[str, Any]]:
    """An alarm of its own for each, within a minute; THREADS handlers at a time."""

    def respond(number: int) -> dict[str, Any]:
        at = f"2026-11-23T04:00:{number * 60 // len(fleet):02d}.000+0000"
        instance_id = fleet[number][0]
        return respond_to_hang.handler(alarm_action(query(instance_id), name=f"hangdump-{instance_id}", at=at), context)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(respond, range(len(fleet))))


def stops(account: Account) -> list[str]:
    """The messages that say that Hangdump interrupts no more."""
    return [message for message in account.messages if "STOPPED" in message]


@pytest.mark.nightly
def test_of_500_that_hang_within_a_minute_the_budget_is_interrupted_and_one_notification_says_stop(
    account: Account, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FLEET_BUDGET": "10", "ZONE_BUDGET": "500", "GROUP_BUDGET": "500"}.items():
        monkeypatch.setenv(name, value)
    fleet = list(launch_fleet(500, groups=25))

    answers = all_hang(fleet, context)

    assert len(account.interrupts) == len(set(account.interrupts)) == 10
    assert Counter(answer["reason"] for answer in answers) == {"kernel-deaf": 10, "fleet-budget-spent": 490}
    for answer, (instance_id, zone, group) in zip(answers, fleet, strict=True):
        known = read_record(answer["incidentId"])
        assert known.instance_id == instance_id
        assert (known.evidence["availabilityZone"], known.evidence["autoScalingGroup"]) == (zone, group)
        if answer["decision"] == "refuse":
            assert (known.state, known.verdict, known.reason) == (State.REFUSED, Verdict.REFUSED, "fleet-budget-spent")
    (message,) = stops(account)
    assert message.startswith("Hangdump STOPPED interrupting: fleet-budget-spent")
    assert "STOPPED until 2026-11-23T05:00:00Z" in message


@pytest.mark.slow
def test_no_zone_and_no_group_gives_more_than_its_budget(
    account: Account, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FLEET_BUDGET": "10", "ZONE_BUDGET": "4", "GROUP_BUDGET": "2"}.items():
        monkeypatch.setenv(name, value)
    fleet = list(launch_fleet(90, groups=6))

    answers = all_hang(fleet, context)

    places = {instance_id: (zone, group) for instance_id, zone, group in fleet}
    assert len(account.interrupts) == 10
    assert max(Counter(places[each][0] for each in account.interrupts).values()) == 4
    assert max(Counter(places[each][1] for each in account.interrupts).values()) == 2
    refused = {answer["reason"] for answer in answers if answer["decision"] == "refuse"}
    assert refused <= {"fleet-budget-spent", "zone-budget-spent", "group-budget-spent"}
    subjects = [message.splitlines()[0] for message in stops(account)]
    # One says that a zone or a group is stopped, one that everything is.
    assert len(subjects) <= 2
    assert sum("fleet-budget-spent" in subject for subject in subjects) == 1


def test_a_notice_that_dies_half_way_is_told_by_its_own_repetition_and_by_nobody_else(
    account: Account, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.meetings.clear()
    monkeypatch.setenv("FLEET_BUDGET", "1")
    (taken, *_), (first, *_), (second, *_) = launch_fleet(3, groups=3)
    dead: Any = type(context)(remaining_milliseconds=1)

    def hang(instance_id: str, given: Any = context) -> dict[str, Any]:
        return respond_to_hang.handler(alarm_action(query(instance_id), name=instance_id), given)

    assert hang(taken)["decision"] == "interrupt"

    def die() -> None:
        raise aws.Crash("in the call itself")

    account.meetings["Publish"] = die
    with pytest.raises(aws.Crash):
        hang(first, dead)
    account.meetings.clear()
    told_before = len(account.messages)
    assert hang(second)["reason"] == "fleet-budget-spent"
    assert len(account.messages) == told_before
    hang(first)
    assert len(account.messages) == told_before + 1
    hang(first)
    assert len(account.messages) == told_before + 1
