"""What an alarm makes happen: one interrupt and one collection, or one refusal that somebody is told about."""

from datetime import timedelta
from typing import Any

import boto3
import pytest

from lambdas.incident.record import State, Verdict
from lambdas.incident.table import IncidentTable
from lambdas.respond import alarm_event
from lambdas.runtime import clients
from lambdas.runtime.errors import InvalidInput
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.alarm_events import HEARTBEAT, alarm_action, arn, query, state_change
from tests.lambdas.conftest import Clock, Deliver, Launch


def test_interrupts_a_hung_instance_once_and_starts_the_collection(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    answer = deliver(alarm_action(query(instance_id)))
    incident_id = f"20261123T040000Z-{instance_id}"
    assert answer == {
        "incidentId": incident_id,
        "decision": "interrupt",
        "reason": "kernel-deaf",
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


def test_no_client_is_created_between_the_claim_and_the_interrupt(
    account: Account, deliver: Deliver, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first event of a process, each would delay the interrupt."""
    for name in ("ec2_without_retries", "ec2_best_effort", "s3_best_effort", "ssm_short_retry", "autoscaling"):
        getattr(clients, name).cache_clear()
    create, created = boto3.client, []

    def record(service: str, **arguments: Any) -> Any:
        claims, interrupts = account.named("TransactWriteItems"), account.named("SendDiagnosticInterrupt")
        created.append((service, bool(claims), bool(interrupts)))
        return create(service, **arguments)  # type: ignore[call-overload]

    monkeypatch.setattr(boto3, "client", record)
    deliver(alarm_action(query(instance_id)))
    assert account.interrupts == [instance_id]
    assert {service for service, *_ in created} == {"ec2", "s3", "ssm", "autoscaling"}
    assert [each for each in created if each[1:] == (True, False)] == []


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


def test_another_alarm_for_the_same_hang_is_refused_while_its_incident_is_open(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    deliver(alarm_action(query(instance_id)))
    again = deliver(alarm_action(query(instance_id, HEARTBEAT), name="app", at="2026-11-23T04:00:20.000+0000"))
    assert (again["decision"], again["reason"]) == ("refuse", "incident-open")
    assert account.interrupts == [instance_id]


def test_after_the_cooldown_the_same_instance_can_be_interrupted_again(
    account: Account, deliver: Deliver, instance_id: str, clock: Clock
) -> None:
    first = deliver(alarm_action(query(instance_id)))
    IncidentTable(aws.TABLE).update(first["incidentId"], {"state": State.CONCLUDED.value})
    account.impaired_since, account.last_ping_at = aws.NOW + timedelta(hours=7), aws.NOW + timedelta(hours=7)
    clock.at += timedelta(hours=7, minutes=30)
    answer = deliver(alarm_action(query(instance_id), at="2026-11-23T11:30:00.000+0000"))
    assert answer["reason"] == "cooldown"
    clock.at += timedelta(minutes=31)
    deliver(alarm_action(query(instance_id), at="2026-11-23T12:01:00.000+0000"))
    assert account.interrupts == [instance_id, instance_id]


def test_a_budget_of_n_interrupts_n_instances_of_the_fleet(account: Account, deliver: Deliver, launch: Launch) -> None:
    fleet = [launch() for _ in range(5)]
    answers = [deliver(alarm_action(query(each), name=each)) for each in fleet]
    assert account.interrupts == fleet[:3]
    assert [answer["reason"] for answer in answers] == ["kernel-deaf"] * 3 + ["fleet-budget-spent"] * 2


def test_an_instance_type_without_the_disk_check_can_be_interrupted(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.attached_ebs_status = None
    assert deliver(alarm_action(query(instance_id)))["decision"] == "interrupt"


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


def test_an_alarm_without_an_instance_is_refused_and_told_once(account: Account, deliver: Deliver) -> None:
    """An error would be told again: Lambda gives failed events to the topic, as they are."""
    for _ in range(3):
        answer = deliver(alarm_action(query(None), name="fleet-cpu"))
        assert answer == {"incidentId": "", "decision": "refuse", "reason": "invalid-alarm"}
    (message,) = account.messages
    assert "No InstanceId in the alarm fleet-cpu" in message
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


def test_people_hear_at_once_of_an_interrupt_and_once_however_often_the_alarm_comes(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    answer = deliver(alarm_action(query(instance_id)))
    deliver(alarm_action(query(instance_id)))
    (message,) = account.messages
    assert message.startswith(f"Hangdump: {instance_id} was interrupted (kernel-deaf)")
    for said in (answer["incidentId"], "/hangdump/interrupts", "Do not reboot"):
        assert said in message


CRASH_KERNEL = "[    0.000000] Linux version 6.1.0-28 (x)\n[    0.000000] Command line: elfcorehdr=0x3c000000\n"


def test_a_dump_that_runs_already_is_fetched_without_an_interrupt(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.console = CRASH_KERNEL
    answer = deliver(alarm_action(query(instance_id)))
    assert (answer["decision"], answer["reason"]) == ("collect", "dump-under-way")
    assert account.interrupts == []
    assert account.executions == [answer["incidentId"]]
    known = read_record(answer["incidentId"])
    assert (known.state, known.is_crashed) == (State.PANICKED, True)
    # Its vmcore is younger than the agent's last ping.
    assert known.since_epoch == int(account.last_ping_at.timestamp()) - 60
    assert f"{instance_id} panicked on its own" in account.messages[0]
    item = clients.dynamodb().get_item(TableName=aws.TABLE, Key={"pk": {"S": f"instance#{instance_id}"}})["Item"]
    assert int(item["expiresAtEpoch"]["N"]) > aws.NOW.timestamp() + 28_800
    again = deliver(alarm_action(query(instance_id)))
    assert (again["decision"], len(account.executions), len(account.messages)) == ("duplicate", 1, 1)


def test_a_kernel_that_panics_while_it_is_probed_is_not_interrupted(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.meetings["SendCommand"] = lambda: setattr(account, "console", CRASH_KERNEL)
    answer = deliver(alarm_action(query(instance_id)))
    assert (answer["decision"], answer["reason"]) == ("collect", "dump-under-way")
    assert account.interrupts == []
    assert account.executions == [answer["incidentId"]]


def test_an_instance_that_is_rebooted_while_it_is_probed_is_not_interrupted(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    booted = f"Cloud-init v. 23.4.4 running 'init' at {aws.NOW:%a, %d %b %Y %H:%M:%S} +0000. Up 1.00 seconds\n"
    account.meetings["SendCommand"] = lambda: setattr(account, "console", booted)
    assert deliver(alarm_action(query(instance_id)))["reason"] == "boot-grace"
    assert account.interrupts == []


def test_an_instance_that_joins_a_group_while_it_is_probed_spends_that_groups_budget(
    account: Account, deliver: Deliver, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUP_BUDGET", "1")
    ready = {"hangdump:enrolled": "true", "hangdump:ready": "2026-11-22T00:00:00Z"}
    group: Any = {"Key": "aws:autoscaling:groupName", "Value": "web"}
    first, joins = launch(tags=ready | {group["Key"]: group["Value"]}), launch(tags=ready)
    assert deliver(alarm_action(query(first)))["decision"] == "interrupt"
    account.meetings["SendCommand"] = lambda: clients.ec2().create_tags(Resources=[joins], Tags=[group])
    assert deliver(alarm_action(query(joins)))["reason"] == "group-budget-spent"
    assert account.interrupts == [first]


def test_two_alarms_of_one_panic_fetch_its_dump_once(account: Account, deliver: Deliver, instance_id: str) -> None:
    account.console = CRASH_KERNEL
    first = deliver(alarm_action(query(instance_id)))
    other = deliver(alarm_action(query(instance_id, HEARTBEAT), name="app", at="2026-11-23T04:00:20.000+0000"))
    assert (other["decision"], other["reason"]) == ("refuse", "incident-open")
    assert account.executions == [first["incidentId"]]
    assert account.interrupts == []


@pytest.fixture(params=["own-panic", "interrupt"])
def concluded(
    request: pytest.FixtureRequest, account: Account, deliver: Deliver, instance_id: str, clock: Clock
) -> str:
    """An incident that ended without a dump two days ago: its crash kernel hangs, and still shows on the console."""
    if request.param == "own-panic":
        account.console = CRASH_KERNEL
    first: str = deliver(alarm_action(query(instance_id)))["incidentId"]
    IncidentTable(aws.TABLE).update(first, {"state": State.CONCLUDED.value, "verdict": Verdict.PANIC_NO_DUMP.value})
    account.console = CRASH_KERNEL
    account.calls.clear()
    clock.at += timedelta(days=2)
    return first


LATER = "2026-11-25T04:00:20.000+0000"


@pytest.mark.usefixtures("concluded")
def test_a_crash_kernel_that_never_ends_is_one_incident(account: Account, deliver: Deliver, instance_id: str) -> None:
    answer = deliver(alarm_action(query(instance_id), at=LATER))
    assert (answer["decision"], answer["reason"]) == ("refuse", "dump-under-way")
    assert account.named("StartExecution") == []
    assert "which is concluded" in account.messages[0]


@pytest.mark.usefixtures("concluded")
def test_a_crash_kernel_that_never_ends_is_no_news_to_the_watch(
    account: Account, deliver: Deliver, instance_id: str, clock: Clock
) -> None:
    asked = alarm_event.check_event(instance_id, f"{instance_id}#1", at=clock.at, function_arn=arn("x"))
    assert deliver(asked)["reason"] == "dump-under-way"
    assert account.named("StartExecution") == []
    assert account.messages == []


@pytest.mark.usefixtures("concluded")
@pytest.mark.parametrize("sign", ["ping", "console"])
def test_a_new_panic_after_a_later_boot_is_collected(
    account: Account, deliver: Deliver, instance_id: str, clock: Clock, sign: str
) -> None:
    booted_at = clock.at - timedelta(hours=1)
    if sign == "ping":
        account.last_ping_at = booted_at
    else:
        boot = f"Cloud-init v. 23.4.4 finished at {booted_at:%a, %d %b %Y %H:%M:%S} +0000. Up 20.00 seconds\n"
        account.console = CRASH_KERNEL + boot + CRASH_KERNEL
    answer = deliver(alarm_action(query(instance_id), at=LATER))
    assert (answer["decision"], answer["reason"]) == ("collect", "dump-under-way")
    assert len(account.named("StartExecution")) == 1


def test_a_panic_after_an_interrupt_that_was_refused_is_collected(
    account: Account, deliver: Deliver, instance_id: str, clock: Clock
) -> None:
    account.interrupts_switch = "off"
    assert deliver(alarm_action(query(instance_id)))["reason"] == "kill-switch-off"
    clock.at += timedelta(minutes=10)
    account.console = CRASH_KERNEL
    again = deliver(alarm_action(query(instance_id, HEARTBEAT), name="app", at="2026-11-23T04:10:00.000+0000"))
    assert again["decision"] == "collect"


def test_a_dump_longer_than_any_cooldown_is_never_hit(
    account: Account, deliver: Deliver, instance_id: str, clock: Clock
) -> None:
    deliver(alarm_action(query(instance_id)))
    # Days later, with a console that makedumpfile's progress has filled.
    clock.at += timedelta(days=2)
    account.impaired_since, account.last_ping_at = clock.at - timedelta(minutes=9), clock.at - timedelta(minutes=10)
    account.console = "Copying data                       : [ 45.3 %] -           eta: 3s\n" * 900
    answer = deliver(alarm_action(query(instance_id), at="2026-11-25T04:00:20.000+0000"))
    assert answer["reason"] == "incident-open"
    assert account.interrupts == [instance_id]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00.000+0100", "9999-12-31T23:59:59.000-0100"])
def test_an_alarm_of_a_time_that_utc_does_not_have_is_refused_by_name(
    account: Account, deliver: Deliver, instance_id: str, at: str
) -> None:
    with pytest.raises(InvalidInput, match="is no time in UTC"):
        deliver(alarm_action(query(instance_id), at=at))
    assert account.interrupts == []


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00.000+0000", "2026-11-24T00:00:00.000+0000"])
def test_an_alarm_of_an_impossible_time_is_refused_and_leaves_the_real_one_alone(
    account: Account, deliver: Deliver, instance_id: str, at: str
) -> None:
    assert deliver(alarm_action(query(instance_id), at=at))["reason"] == "invalid-alarm"
    assert "changed at" in account.messages[0]
    assert account.interrupts == []
    assert deliver(alarm_action(query(instance_id)))["decision"] == "interrupt"
