"""What an alarm makes happen: one interrupt and one collection, or one refusal that somebody is told about."""

from datetime import timedelta
from typing import Any

import pytest

from lambdas.incident.record import State
from lambdas.runtime import clients
from lambdas.runtime.errors import InvalidInput
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.conftest import Clock, Deliver, Launch
from tests.lambdas.events import HEARTBEAT, alarm_action, arn, query, state_change


def test_interrupts_a_hung_instance_once_and_starts_the_collection(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    answer = deliver(alarm_action(query(instance_id)))
    incident_id = f"20261123T040000Z-{instance_id}"
    assert answer == {
        "incidentId": incident_id,
        "decision": "interrupt",
        "reason": "hang-confirmed",
        "executionArn": f"{aws.COLLECT_ARN.replace(':stateMachine:', ':execution:')}:{incident_id}",
    }
    assert account.interrupts == [instance_id]
    assert account.executions == [incident_id]
    known = read_record(incident_id)
    assert known.state == State.INTERRUPTED
    assert known.evidence["instanceStatus"] == "impaired"
    assert [entry["event"] for entry in known.timeline] == [
        "alarm",
        "decided",
        "claimed",
        "interrupt-sent",
        "collection-started",
    ]


def test_the_record_keeps_the_end_of_the_console_from_before_the_interrupt(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.console = "x" * 5000 + "[ 900.1] rcu: INFO: rcu_sched self-detected stall"
    answer = deliver(alarm_action(query(instance_id)))
    baseline = read_record(answer["incidentId"]).console_baseline
    assert baseline is not None
    assert account.console.endswith(baseline.end)
    assert len(baseline.end) == 512
    assert baseline.length == len(account.console)


@pytest.mark.parametrize("shape", [alarm_action, state_change])
def test_a_later_delivery_of_the_same_alarm_changes_nothing(
    account: Account, deliver: Deliver, instance_id: str, shape: Any
) -> None:
    first = deliver(alarm_action(query(instance_id)))
    again = deliver(shape(query(instance_id)))
    assert again["incidentId"] == first["incidentId"]
    assert account.interrupts == [instance_id]
    assert len(account.executions) == 1


def test_another_alarm_for_the_same_hang_is_refused_by_the_cooldown(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    deliver(alarm_action(query(instance_id)))
    again = deliver(alarm_action(query(instance_id, HEARTBEAT), name="app", at="2026-11-23T04:00:20.000+0000"))
    assert (again["decision"], again["reason"]) == ("refuse", "cooldown")
    assert account.interrupts == [instance_id]


def test_after_the_cooldown_the_same_instance_can_be_interrupted_again(
    account: Account, deliver: Deliver, instance_id: str, clock: Clock
) -> None:
    deliver(alarm_action(query(instance_id)))
    clock.at += timedelta(seconds=3700)
    deliver(alarm_action(query(instance_id), at="2026-11-23T05:02:00.000+0000"))
    assert account.interrupts == [instance_id, instance_id]


def test_a_budget_of_n_interrupts_n_instances_of_the_fleet(account: Account, deliver: Deliver, launch: Launch) -> None:
    fleet = [launch() for _ in range(5)]
    answers = [deliver(alarm_action(query(each), name=each)) for each in fleet]
    assert account.interrupts == fleet[:3]
    assert [answer["reason"] for answer in answers] == ["hang-confirmed"] * 3 + ["fleet-budget-spent"] * 2


def test_an_instance_type_without_the_disk_check_can_be_interrupted(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.attached_ebs_status = None
    assert deliver(alarm_action(query(instance_id)))["decision"] == "interrupt"


def test_the_users_own_metric_counts_with_an_unanswered_probe_while_arp_still_answers(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.instance_status = "ok"
    assert deliver(alarm_action(query(instance_id, HEARTBEAT)))["decision"] == "interrupt"
    assert account.interrupts == [instance_id]


def test_dry_run_decides_and_tells_but_sends_nothing(
    account: Account, deliver: Deliver, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRY_RUN", "true")
    answer = deliver(alarm_action(query(instance_id)))
    assert (answer["decision"], answer["reason"]) == ("dry-run", "dry-run")
    assert account.interrupts == []
    assert account.executions == []
    assert read_record(answer["incidentId"]).state == State.DRY_RUN
    assert len(account.messages) == 1


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_an_alarm_that_is_not_in_alarm_leaves_no_trace(
    account: Account, deliver: Deliver, instance_id: str, state: str
) -> None:
    answer = deliver(alarm_action(query(instance_id), state=state))
    assert answer == {"incidentId": "", "decision": "refuse", "reason": "not-in-alarm"}
    assert account.calls == []


def test_an_alarm_without_an_instance_is_an_error_that_is_told_once(account: Account, deliver: Deliver) -> None:
    for _ in range(3):
        with pytest.raises(InvalidInput, match="No InstanceId in the alarm fleet-cpu"):
            deliver(alarm_action(query(None), name="fleet-cpu"))
    (message,) = account.messages
    assert "fleet-cpu" in message
    assert "dimension InstanceId" in message


def test_a_composite_alarm_is_resolved_by_asking_cloudwatch(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    clients.cloudwatch().put_metric_alarm(
        AlarmName="child",
        Namespace="AWS/EC2",
        MetricName="StatusCheckFailed_Instance",
        Dimensions=[{"Name": "InstanceId", "Value": instance_id}],
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=2,
        Period=60,
        Statistic="Maximum",
        Threshold=0,
    )
    assert deliver(alarm_action(name="parent", children=("child",)))["decision"] == "interrupt"
    assert account.interrupts == [instance_id]
    assert read_record(f"20261123T040000Z-{instance_id}").alarm_name == "parent"
    assert arn("parent").endswith(":parent")


def test_the_policy_needs_every_setting(account: Account, deliver: Deliver, instance_id: str, monkeypatch: Any) -> None:
    monkeypatch.delenv("DRY_RUN")
    with pytest.raises(ValueError, match="DRY_RUN") as raised:
        deliver(alarm_action(query(instance_id)))
    assert "AWS_SECRET_ACCESS_KEY" not in str(raised.value), "a missing variable must not print the others"
    assert account.interrupts == []
