"""The gate's reads as a whole: other alarms, mutes, windows, boots and places, and what cannot be read in time."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from lambdas.respond import evidence
from lambdas.runtime import clients
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.conftest import Deliver, Launch
from tests.lambdas.events import alarm_action, query, state_change

REBOOT = f"arn:aws:automate:{aws.REGION}:ec2:reboot"
TERMINATE = f"arn:aws:swf:{aws.REGION}:{aws.ACCOUNT_ID}:action/actions/AWS_EC2.InstanceId.Terminate/1.0"
NOTIFY = f"arn:aws:sns:{aws.REGION}:{aws.ACCOUNT_ID}:pager"


def put_alarm(name: str, instance_id: str, *actions: str, metric: str = "StatusCheckFailed_Instance") -> None:
    clients.cloudwatch().put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/EC2",
        MetricName=metric,
        Dimensions=[{"Name": "InstanceId", "Value": instance_id}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=3,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=list(actions),
    )


def fire(name: str) -> None:
    clients.cloudwatch().set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="as tested")


@pytest.mark.parametrize("metric", ["StatusCheckFailed", "StatusCheckFailed_Instance", "StatusCheckFailed_AttachedEBS"])
@pytest.mark.parametrize(("action", "verb"), [(REBOOT, "reboot"), (TERMINATE, "terminate")])
def test_refuses_while_another_alarm_acts_on_the_instance(
    account: Account, deliver: Deliver, instance_id: str, metric: str, action: str, verb: str
) -> None:
    put_alarm("owners", instance_id, action, NOTIFY, metric=metric)
    fire("owners")
    answer = deliver(alarm_action(query(instance_id)))
    assert answer["reason"] == "other-alarm-acts"
    assert read_record(answer["incidentId"]).evidence["firedRivalAlarms"] == [f"owners: {verb}"]
    assert account.interrupts == []
    assert account.named("SendCommand") == []
    assert f"owners: {verb}" in account.messages[0]


def test_an_alarm_that_would_act_but_has_not_fired_is_reported_with_the_interrupt(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    put_alarm("owners", instance_id, REBOOT)
    answer = deliver(alarm_action(query(instance_id)))
    assert answer["decision"] == "interrupt"
    assert read_record(answer["incidentId"]).evidence["rivalAlarms"] == ["owners: reboot"]


def test_alarms_without_such_actions_or_of_others_do_not_matter(
    account: Account, deliver: Deliver, launch: Launch
) -> None:
    instance_id, other = launch(), launch()
    put_alarm("pager", instance_id, NOTIFY)
    put_alarm("others", other, REBOOT)
    put_alarm("switched-off", instance_id, REBOOT)
    # The owner's own system check alarm: where that fails, nothing is interrupted anyway.
    put_alarm("recovery", instance_id, f"arn:aws:automate:{aws.REGION}:ec2:recover", metric="StatusCheckFailed_System")
    for name in ("pager", "others", "switched-off", "recovery"):
        fire(name)
    clients.cloudwatch().disable_alarm_actions(AlarmNames=["switched-off"])
    answer = deliver(alarm_action(query(instance_id)))
    assert answer["decision"] == "interrupt"
    assert "rivalAlarms" not in read_record(answer["incidentId"]).evidence


@pytest.mark.parametrize("muted", ["hang", "hangdump-{}"], ids=["the-alarm", "the-hang-alarm-of-the-instance"])
def test_disabled_alarm_actions_are_respected_whoever_delivers(
    account: Account, deliver: Deliver, instance_id: str, muted: str
) -> None:
    name = muted.format(instance_id)
    put_alarm(name, instance_id, NOTIFY)
    assert deliver(state_change(query(instance_id)))["decision"] == "interrupt"
    clients.cloudwatch().disable_alarm_actions(AlarmNames=[name])
    answer = deliver(state_change(query(instance_id), at="2026-11-23T04:00:10.000+0000"))
    assert answer["reason"] == "alarm-muted"
    assert name in (read_record(answer["incidentId"]).detail or "")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda detail: detail.update(muteDetail={"mutedBy": "night"}), id="mute-rule"),
        pytest.param(lambda detail: detail["state"].update(actionsSuppressedBy="Alarm"), id="suppressor-alarm"),
    ],
)
def test_a_mute_that_the_event_tells_of_is_respected(
    account: Account, deliver: Deliver, instance_id: str, change: Callable[[dict[str, Any]], None]
) -> None:
    event = state_change(query(instance_id))
    change(event["detail"])
    assert deliver(event)["reason"] == "alarm-muted"
    assert account.interrupts == []


def test_no_alarm_interrupts_in_a_maintenance_window(
    account: Account, deliver: Deliver, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINTENANCE_WINDOWS", '["mon 04:00-05:00"]')
    assert deliver(alarm_action(query(instance_id)))["reason"] == "maintenance-window"
    assert account.interrupts == []


@pytest.mark.parametrize(
    ("console", "reason"),
    [
        pytest.param(
            "[    0.000000] Linux version 6.1.0-28 (x)\n[    0.0] Command line: elfcorehdr=0x3c000000",
            "dump-under-way",
            id="dumps",
        ),
        pytest.param(
            "Cloud-init v. 24.1 finished at Mon, 23 Nov 2026 03:59:30 +0000. Datasource DataSourceEc2.  Up 20 seconds",
            "boot-grace",
            id="rebooted-just-now",
        ),
        pytest.param(
            "Cloud-init v. 24.1 finished at Sun, 22 Nov 2026 03:59:30 +0000. Datasource DataSourceEc2.  Up 20 seconds",
            "ready-stale",
            id="rebooted-after-it-was-seen-ready",
        ),
        pytest.param("[    0.000000] Linux version 6.12.0-1 (x)", "ready-stale", id="another-kernel"),
    ],
)
def test_refuses_by_what_the_console_tells_of_the_last_boot(
    account: Account, deliver: Deliver, launch: Launch, console: str, reason: str
) -> None:
    ready = {"hangdump:ready": "2026-11-22T00:00:00Z", "hangdump:ready-kernel": "6.1.0-28"}
    instance_id = launch(tags={"hangdump:enrolled": "true"} | ready)
    account.console = console
    assert deliver(alarm_action(query(instance_id)))["reason"] == reason
    assert account.interrupts == []


@pytest.mark.parametrize(
    ("launched", "reason"),
    [
        pytest.param(timedelta(minutes=-2), "boot-grace", id="just-now"),
        pytest.param(timedelta(hours=-2), "ready-stale", id="after-it-was-seen-ready"),
    ],
)
def test_refuses_by_when_ec2_started_the_instance(
    account: Account, deliver: Deliver, launch: Launch, launched: timedelta, reason: str
) -> None:
    instance_id = launch(launched_at=aws.NOW + launched)
    assert deliver(alarm_action(query(instance_id)))["reason"] == reason


def test_readiness_that_nobody_has_proven_for_too_long_refuses(
    account: Account, deliver: Deliver, launch: Launch
) -> None:
    old = {"hangdump:enrolled": "true", "hangdump:ready": "2026-10-01T00:00:00Z"}
    instance_id = launch(tags=old, launched_at=aws.NOW - timedelta(days=400))
    answer = deliver(alarm_action(query(instance_id)))
    assert answer["reason"] == "ready-stale"
    assert "Run ProvisionDumpVolume" in account.messages[0]


@pytest.mark.parametrize(
    "operation", ["GetConsoleOutput", "DescribeAlarms", "DescribeAlarmsForMetric", "BatchGetItem", "DescribeInstances"]
)
def test_a_read_that_never_answers_refuses_within_the_bound(
    account: Account, deliver: Deliver, instance_id: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "BOUND_SECONDS", 0.3)
    answered = threading.Event()
    account.meetings[operation] = lambda: answered.wait(timeout=60)
    began = time.monotonic()
    answer = deliver(alarm_action(query(instance_id)))
    took = time.monotonic() - began
    answered.set()
    assert answer["reason"] == "evidence-missing"
    assert "no answer within 0.3 s" in str(read_record(answer["incidentId"]).evidence["notes"])
    # Far from the minute that it would have taken.
    assert took < 30
    assert account.interrupts == []


def test_the_reads_run_side_by_side(account: Account, deliver: Deliver, instance_id: str) -> None:
    together = threading.Barrier(4)
    for operation in ("DescribeInstances", "DescribeInstanceStatus", "GetConsoleOutput", "DescribeAlarms"):
        account.meetings[operation] = lambda: together.wait(timeout=30)

    def go_on() -> None:
        # The looks before the interrupt make some of these calls again.
        account.meetings.clear()

    account.meetings["SendCommand"] = go_on
    assert deliver(alarm_action(query(instance_id)))["decision"] == "interrupt"
