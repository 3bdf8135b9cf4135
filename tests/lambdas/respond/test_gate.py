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
from tests.lambdas.alarm_events import HEARTBEAT, STATUS_CHECK, alarm_action, query, state_change
from tests.lambdas.conftest import Deliver, Launch

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
    clients.cloudwatch().disable_alarm_actions(AlarmNames=[name])
    answer = deliver(state_change(query(instance_id)))
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
        pytest.param("[    0.000000] Linux version 6.12.0-1 (x)\nhost login: ", "ready-stale", id="another-kernel"),
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

    def meet(operation: str) -> Callable[[], object]:
        def wait() -> None:
            # Some of these calls are made again later.
            del account.meetings[operation]
            together.wait(timeout=30)

        return wait

    for operation in ("DescribeInstances", "DescribeInstanceStatus", "GetConsoleOutput", "DescribeAlarms"):
        account.meetings[operation] = meet(operation)
    assert deliver(alarm_action(query(instance_id)))["decision"] == "interrupt"


def test_an_agent_that_died_days_ago_proves_nothing_whatever_alarm_asks(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.instance_status = "ok"
    account.ping_status, account.last_ping_at = "ConnectionLost", aws.NOW - timedelta(days=20)
    answer = deliver(alarm_action(query(instance_id, HEARTBEAT)))
    assert answer["reason"] == "agent-was-dead"
    assert account.interrupts == []


@pytest.mark.parametrize("asks", [STATUS_CHECK, HEARTBEAT], ids=["status-check", "owners-metric"])
def test_an_alarm_starts_the_question_and_is_no_evidence(
    account: Account, deliver: Deliver, instance_id: str, asks: tuple[str, str]
) -> None:
    account.instance_status = "ok"
    assert deliver(alarm_action(query(instance_id, asks)))["reason"] == "status-check-passes"
    account.instance_status = "impaired"
    assert deliver(alarm_action(query(instance_id, asks), at="2026-11-23T04:00:10.000+0000"))["reason"] == "kernel-deaf"


def test_an_instance_whose_network_is_down_and_that_still_writes_is_left_alone(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.impaired_since, account.last_ping_at = aws.NOW - timedelta(minutes=12), aws.NOW - timedelta(minutes=13)
    account.ebs_writes = {aws.NOW - timedelta(minutes=minutes): 240.0 for minutes in (40, 30, 10, 6)}
    answer = deliver(alarm_action(query(instance_id)))
    assert answer["reason"] == "still-works"
    evidence = read_record(answer["incidentId"]).evidence
    assert (evidence["ebsWritesBefore"], evidence["ebsWritesAfter"]) == (240, 240)


def test_what_an_instance_wrote_before_is_known_however_late_it_is_judged_again(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    onset = aws.NOW - timedelta(hours=9)
    account.impaired_since, account.last_ping_at = onset, onset - timedelta(minutes=1)
    account.ebs_writes = {aws.NOW - timedelta(minutes=minutes): 240.0 for minutes in range(600, 0, -5)}
    assert deliver(alarm_action(query(instance_id)))["reason"] == "still-works"


def test_what_a_backup_wrote_at_night_is_no_measure_of_work(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.impaired_since, account.last_ping_at = aws.NOW - timedelta(minutes=12), aws.NOW - timedelta(minutes=13)
    account.ebs_writes = {aws.NOW - timedelta(minutes=minutes): 500.0 for minutes in range(180, 0, -5)}
    account.ebs_writes |= {aws.NOW - timedelta(minutes=minutes): 15_000.0 for minutes in (150, 145, 140, 135)}
    assert deliver(alarm_action(query(instance_id)))["reason"] == "still-works"


def test_an_instance_that_booted_without_its_network_is_left_alone(
    account: Account, deliver: Deliver, launch: Launch
) -> None:
    config = "0123456789abcdef"
    enrolled = {"hangdump:enrolled": "true", "hangdump:ready": "2026-11-22T00:00:00Z"}
    instance_id = launch(tags=enrolled | {"hangdump:ready-config": config})
    account.last_ping_at = aws.NOW - timedelta(minutes=10)
    account.console = (
        "Cloud-init v. 24.1 finished at Mon, 23 Nov 2026 03:53:40 +0000. Up 20 seconds\n"
        f"hangdump-ready boot=00000000-0000-4000-8000-000000000000 kernel=6.1.0 config={config}\nweb-1 login: "
    )
    answer = deliver(alarm_action(query(instance_id)))
    assert answer["reason"] == "agent-was-dead"
    assert "the instance booted at" in (read_record(answer["incidentId"]).detail or "")


def test_writes_that_ended_with_the_hang_do_not_speak_against_it(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.impaired_since, account.last_ping_at = aws.NOW - timedelta(minutes=12), aws.NOW - timedelta(minutes=13)
    account.ebs_writes = {aws.NOW - timedelta(minutes=minutes): 240.0 for minutes in (40, 30)}
    account.ebs_writes |= {aws.NOW - timedelta(minutes=minutes): 0.0 for minutes in (10, 6)}
    assert deliver(alarm_action(query(instance_id)))["decision"] == "interrupt"


def test_many_hosts_of_a_zone_that_fail_together_are_left_alone(
    account: Account, deliver: Deliver, launch: Launch
) -> None:
    account.impaired_in_zone = [account.impaired_since + timedelta(seconds=40 * number) for number in range(7)]
    for instance_id in (launch(), launch()):
        assert deliver(alarm_action(query(instance_id)))["reason"] == "correlated-failure"
    assert account.interrupts == []


def test_hangs_of_a_zone_hours_apart_are_no_failure_of_the_zone(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.impaired_in_zone = [account.impaired_since - timedelta(minutes=11 * number) for number in range(1, 7)]
    assert deliver(alarm_action(query(instance_id)))["decision"] == "interrupt"


@pytest.mark.parametrize(
    ("description", "reason"),
    [("Planned reboot", "scheduled-event"), ("[Completed] Planned reboot", "kernel-deaf")],
)
def test_an_open_scheduled_event_refuses(
    account: Account, deliver: Deliver, instance_id: str, description: str, reason: str
) -> None:
    account.events = [{"Code": "system-reboot", "Description": description}]
    assert deliver(alarm_action(query(instance_id)))["reason"] == reason


@pytest.mark.parametrize(
    ("mode", "balance", "reason"),
    [
        ("standard", 0.0, "no-credits"),
        ("standard", 0.99, "no-credits"),
        ("standard", 1.0, "kernel-deaf"),
        ("unlimited", 0.0, "kernel-deaf"),
    ],
)
def test_a_burstable_instance_without_credits_is_slow_and_not_hung(
    account: Account, deliver: Deliver, instance_id: str, mode: str, balance: float, reason: str
) -> None:
    account.cpu_credits, account.credit_balance = mode, balance
    assert deliver(alarm_action(query(instance_id)))["reason"] == reason


def test_lockups_on_the_console_interrupt_an_instance_that_answers_arp(
    account: Account, deliver: Deliver, launch: Launch
) -> None:
    instance_id = launch(launched_at=aws.NOW - timedelta(hours=1), tags=aws.READY_SINCE_LAUNCH)
    account.instance_status = "ok"
    account.last_ping_at = aws.NOW - timedelta(minutes=5)
    account.console = "".join(
        f"[ {seconds}.000000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\n" for seconds in (3420, 3580)
    )
    assert deliver(alarm_action(query(instance_id, HEARTBEAT)))["reason"] == "kernel-says-so"
    assert account.interrupts == [instance_id]


def test_an_instance_that_was_rebooted_is_armed_once_its_boot_says_so(
    account: Account, deliver: Deliver, launch: Launch
) -> None:
    tags = {"hangdump:enrolled": "true", "hangdump:ready": "2026-11-22T00:00:00Z"}
    instance_id = launch(tags=tags | {"hangdump:ready-kernel": "6.1.0-27", "hangdump:ready-config": "0123456789abcdef"})
    account.console = (
        "[    0.000000] Linux version 6.1.0-28 (x)\n"
        "Cloud-init v. 24.1 finished at Mon, 23 Nov 2026 03:00:20 +0000. Datasource DataSourceEc2.  Up 20 seconds\n"
    )
    assert deliver(alarm_action(query(instance_id)))["reason"] == "ready-stale"
    boot = "00000000-0000-4000-8000-000000000001"
    account.console += f"hangdump-ready boot={boot} kernel=6.1.0-28 config=0123456789abcdef\n"
    answer = deliver(alarm_action(query(instance_id), at="2026-11-23T04:00:10.000+0000"))
    assert answer["decision"] == "interrupt"


def test_a_hang_that_is_too_young_is_looked_at_again(
    account: Account, deliver: Deliver, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.impaired_since = aws.NOW - timedelta(seconds=90)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        account.instance_status = "ok"

    monkeypatch.setattr("lambdas.respond.response.time.sleep", sleep)
    assert deliver(alarm_action(query(instance_id)))["reason"] == "status-check-passes"
    assert waits == [30]
    assert account.interrupts == []


NFS_HANGS = "".join(
    f"[ {seconds}.000000] INFO: task {task} blocked for more than 120 seconds.\n"
    for seconds in (3450, 3571)
    for task in ("a:1", "b:2", "c:3")
)
LOCKUPS = "".join(
    f"[ {seconds}.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [x:1]\n" for seconds in (3552, 3576)
)


@pytest.fixture
def answers_arp(account: Account, launch: Launch) -> Callable[[], str]:
    """Starts instances an hour ago whose check passes; all agents pinged five minutes ago."""
    account.instance_status = "ok"
    account.last_ping_at = aws.NOW - timedelta(minutes=5)
    return lambda: launch(launched_at=aws.NOW - timedelta(hours=1), tags=aws.READY_SINCE_LAUNCH)


@pytest.mark.parametrize("console", [NFS_HANGS, LOCKUPS], ids=["hung-tasks", "lockups"])
def test_hosts_that_lose_systems_manager_and_a_file_server_together_are_left_alone(
    account: Account, deliver: Deliver, answers_arp: Callable[[], str], console: str
) -> None:
    account.console = console
    fleet = [answers_arp() for _ in range(8)]
    reasons = {deliver(alarm_action(query(each, HEARTBEAT), name=each))["reason"] for each in fleet}
    assert reasons == {"correlated-failure"}
    assert account.interrupts == []
    (message,) = account.messages
    assert message.startswith("Hangdump STOPPED interrupting: correlated-failure")


def test_hosts_that_may_have_fallen_silent_together_are_left_alone_until_that_is_known(
    account: Account, deliver: Deliver, answers_arp: Callable[[], str]
) -> None:
    account.console = LOCKUPS.replace("35", "34")
    fleet = [answers_arp() for _ in range(5)]
    # One a minute: the others' next pings are not due yet.
    account.pings = {each: aws.NOW - timedelta(minutes=5 - number) for number, each in enumerate(fleet)}
    answer = deliver(alarm_action(query(fleet[0], HEARTBEAT)))
    assert answer["reason"] == "evidence-missing"
    assert "have not pinged since its onset yet" in (read_record(answer["incidentId"]).detail or "")
    # They have pinged since: it hangs alone.
    account.pings = dict.fromkeys(fleet[1:], aws.NOW - timedelta(minutes=1))
    answer = deliver(alarm_action(query(fleet[0], HEARTBEAT), at="2026-11-23T04:00:10.000+0000"))
    assert answer["reason"] == "kernel-says-so"
    assert account.interrupts == [fleet[0]]


def test_agents_that_were_dead_before_are_no_sign_of_a_common_failure(
    account: Account, deliver: Deliver, answers_arp: Callable[[], str]
) -> None:
    account.console = LOCKUPS
    hangs, *dead = [answers_arp() for _ in range(5)]
    account.pings = {each: aws.NOW - timedelta(minutes=16) for each in dead}
    assert deliver(alarm_action(query(hangs, HEARTBEAT)))["decision"] == "interrupt"


def test_hosts_that_only_lose_systems_manager_are_told_once(
    account: Account, deliver: Deliver, answers_arp: Callable[[], str]
) -> None:
    fleet = [answers_arp() for _ in range(8)]
    # The agents pinged one after another before that; the first of them is silent for long enough.
    account.pings = {each: aws.NOW - timedelta(seconds=721 - 40 * number) for number, each in enumerate(fleet)}
    assert deliver(alarm_action(query(fleet[0], HEARTBEAT), name=fleet[0]))["reason"] == "correlated-failure"
    account.pings = {each: aws.NOW - timedelta(seconds=1010 - 40 * number) for number, each in enumerate(fleet)}
    reasons = {deliver(alarm_action(query(each, HEARTBEAT), name=each))["reason"] for each in fleet[1:]}
    assert reasons == {"correlated-failure"}
    assert len(account.messages) == 1


@pytest.mark.parametrize("evidence", ["when-known", "required"])
def test_a_silent_instance_that_still_writes_is_left_alone_also_where_silence_is_interrupted(
    account: Account,
    deliver: Deliver,
    answers_arp: Callable[[], str],
    evidence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INTERRUPT_ON_SILENCE", "true")
    monkeypatch.setenv("HYPERVISOR_EVIDENCE", evidence)
    instance_id = answers_arp()
    account.last_ping_at = aws.NOW - timedelta(minutes=13)
    account.ebs_writes = {aws.NOW - timedelta(minutes=minutes): 300.0 for minutes in (40, 30, 20, 9, 4)}
    assert deliver(alarm_action(query(instance_id, HEARTBEAT)))["reason"] == "still-works"


def test_hosts_that_lose_systems_manager_are_left_alone_also_where_silence_is_interrupted(
    account: Account, deliver: Deliver, answers_arp: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERRUPT_ON_SILENCE", "true")
    fleet = [answers_arp() for _ in range(8)]
    account.last_ping_at = aws.NOW - timedelta(minutes=13)
    assert {deliver(alarm_action(query(each), name=each))["reason"] for each in fleet} == {"correlated-failure"}
    assert account.interrupts == []


BOOTS = (
    "[ 900.000000] app: it works\n" * 900
    + "\x1b[0m  Booting `Debian GNU/Linux'\n"
    + "[    0.000000] Linux version 6.1.0-28-cloud-amd64 (x)\n"
    + "[    0.000000] Command line: root=/dev/nvme0n1p1 crashkernel=256M\n"
    + "[    4.100000] systemd-fsck[300]: /dev/nvme0n1p1: checking\n"
)


def test_a_boot_that_no_line_dates_is_not_interrupted(account: Account, deliver: Deliver, instance_id: str) -> None:
    account.console = BOOTS
    assert deliver(alarm_action(query(instance_id)))["reason"] == "boot-grace"
    assert account.interrupts == []


@pytest.mark.parametrize("console", ["", "\r\n\r\n", "\x1b[2J\x1b[01;01H"])
def test_a_console_without_text_may_hide_a_dump(
    account: Account, deliver: Deliver, instance_id: str, console: str
) -> None:
    account.console = console
    answer = deliver(alarm_action(query(instance_id)))
    assert answer["reason"] == "evidence-missing"
    assert "console=ttyS0" in (read_record(answer["incidentId"]).detail or "")
    assert account.interrupts == []


def test_a_period_that_is_published_in_part_does_not_speak_for_a_hang(
    account: Account, deliver: Deliver, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERVISOR_EVIDENCE", "required")
    account.impaired_since, account.last_ping_at = aws.NOW - timedelta(seconds=310), aws.NOW - timedelta(minutes=6)
    account.ebs_writes = {aws.NOW - timedelta(minutes=minutes): 240.0 for minutes in (40, 30)}
    # Two minutes of five, from right after the onset.
    account.ebs_writes[aws.NOW - timedelta(seconds=310)] = 96.0
    assert deliver(alarm_action(query(instance_id)))["reason"] == "evidence-missing"
    # Half as much as before in a part of it is work all the same.
    account.ebs_writes[aws.NOW - timedelta(seconds=310)] = 120.0
    again = deliver(alarm_action(query(instance_id), at="2026-11-23T04:00:10.000+0000"))
    assert again["reason"] == "still-works"
    assert account.interrupts == []


def test_a_complaint_of_long_ago_does_not_hide_a_hang_of_now(
    account: Account, deliver: Deliver, launch: Launch
) -> None:
    ready = {"hangdump:enrolled": "true", "hangdump:ready": "2026-11-22T00:00:00Z"}
    instance_id = launch(launched_at=aws.NOW - timedelta(seconds=864_030), tags=ready)
    account.instance_status, account.last_ping_at = "ok", aws.NOW - timedelta(minutes=5)
    account.console = "".join(
        f"[{seconds:6}.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [x:1]\n"
        for seconds in (900, 864_000, 864_020)
    )
    assert deliver(alarm_action(query(instance_id, HEARTBEAT)))["reason"] == "kernel-says-so"


def test_words_behind_a_login_prompt_and_by_a_clock_that_is_ahead_are_of_now(
    account: Account, deliver: Deliver, launch: Launch
) -> None:
    instance_id = launch(launched_at=aws.NOW - timedelta(hours=1), tags=aws.READY_SINCE_LAUNCH)
    account.instance_status, account.last_ping_at = "ok", aws.NOW - timedelta(minutes=5)
    # Its boot is dated half a minute late, and printk is another half minute ahead.
    booted = aws.NOW - timedelta(minutes=59, seconds=30)
    account.console = (
        f"Cloud-init v. 24.1 running 'init-local' at {booted:%a, %d %b %Y %H:%M:%S} +0000. Up 0.00 seconds\n"
        f"[   25.300000] x\nguest login: {LOCKUPS}"
    )
    assert deliver(alarm_action(query(instance_id, HEARTBEAT)))["reason"] == "kernel-says-so"


def test_dates_that_no_clock_can_show_are_facts_that_are_missing(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.instance_status = "ok"
    account.console = (
        "Cloud-init v. 1 finished at Fri, 31 Dec 9999 23:59:59 +0000. Up 1 seconds\n"
        "[999999999.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [x:1]\n"
    )
    assert deliver(alarm_action(query(instance_id, HEARTBEAT)))["reason"] == "status-check-passes"


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_tag_with_a_time_that_utc_does_not_have_is_no_readiness(
    account: Account, deliver: Deliver, launch: Launch, at: str
) -> None:
    instance_id = launch(tags={"hangdump:enrolled": "true", "hangdump:ready": at})
    assert deliver(alarm_action(query(instance_id)))["reason"] == "not-ready"


def test_an_agent_that_pings_every_quarter_of_an_hour_was_alive_at_the_onset(
    account: Account, deliver: Deliver, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.last_ping_at = account.impaired_since - timedelta(seconds=955)
    assert deliver(alarm_action(query(instance_id)))["reason"] == "agent-was-dead"
    monkeypatch.setenv("AGENT_PING_MINUTES", "15")
    again = deliver(alarm_action(query(instance_id), at="2026-11-23T04:00:10.000+0000"))
    assert again["decision"] == "interrupt"
