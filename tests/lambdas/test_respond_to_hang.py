"""What an alarm makes happen: one interrupt and one collection, or one refusal that somebody is told about."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from lambdas import clients, respond_to_hang
from lambdas.errors import InvalidInput
from lambdas.incident import Incident, State, Verdict
from lambdas.incident_table import IncidentTable
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.conftest import Clock, Launch
from tests.lambdas.events import HEARTBEAT, alarm_action, arn, query, state_change

MISSING = "i-0ffffffffffffffff"

Deliver = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def deliver(account: Account, context: Any) -> Deliver:
    return lambda event: respond_to_hang.handler(event, context)


def record(incident_id: str) -> Incident:
    found = IncidentTable(aws.TABLE).read(incident_id)
    assert found is not None
    return found


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
    known = record(incident_id)
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
    baseline = record(answer["incidentId"]).console_baseline
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


ENROLLED = {"hangdump:enrolled": "true"}
READY = {"hangdump:ready": "2026-11-22T00:00:00Z"}


@pytest.mark.parametrize(
    ("instance_type", "tags", "reason"),
    [
        pytest.param("t3.micro", {}, "not-enrolled", id="no-tags"),
        pytest.param("t3.micro", {"hangdump:enrolled": "True"} | READY, "not-enrolled", id="True-is-not-true"),
        pytest.param("t3.micro", {"hangdump:enrolled": "true "} | READY, "not-enrolled", id="blank-at-the-end"),
        pytest.param("t3.micro", {"Hangdump:enrolled": "true"} | READY, "not-enrolled", id="another-tag"),
        pytest.param("t3.micro", ENROLLED, "not-ready", id="not-provisioned"),
        pytest.param("t3.micro", ENROLLED | {"hangdump:ready": "yes"}, "not-ready", id="ready-is-no-time"),
        pytest.param("t2.micro", ENROLLED | READY, "unsupported-hypervisor", id="xen"),
        pytest.param("t4g.micro", ENROLLED | READY, "unsupported-architecture", id="graviton"),
    ],
)
def test_refuses_by_what_the_instance_is(
    account: Account, deliver: Deliver, launch: Launch, instance_type: str, tags: dict[str, str], reason: str
) -> None:
    instance_id = launch(instance_type=instance_type, tags=tags)
    answer = deliver(alarm_action(query(instance_id)))
    assert (answer["decision"], answer["reason"]) == ("refuse", reason)
    assert account.interrupts == []
    assert account.named("SendCommand") == [], "the slow probe is for when nothing cheaper refuses"


@pytest.mark.parametrize(
    ("turned", "reason"),
    [
        pytest.param({"system_status": "impaired"}, "system-check-failed", id="host-failure"),
        pytest.param({"attached_ebs_status": "impaired"}, "ebs-check-failed", id="disk-failure"),
        pytest.param({"instance_status": "ok"}, "status-check-passes", id="check-recovered"),
        pytest.param({"probe_status": "Success"}, "instance-responds", id="answers"),
        pytest.param({"probe_status": "Failed"}, "instance-responds", id="answers-with-an-error"),
        pytest.param({"probe_status": "Cancelled"}, "evidence-missing", id="probe-cancelled"),
    ],
)
def test_refuses_by_how_the_instance_is(
    account: Account, deliver: Deliver, instance_id: str, turned: dict[str, str], reason: str
) -> None:
    for name, value in turned.items():
        setattr(account, name, value)
    answer = deliver(alarm_action(query(instance_id)))
    assert (answer["decision"], answer["reason"]) == ("refuse", reason)
    assert account.interrupts == []
    assert account.executions == []


def test_refuses_a_stopped_instance(account: Account, deliver: Deliver, instance_id: str) -> None:
    clients.ec2().stop_instances(InstanceIds=[instance_id])
    assert deliver(alarm_action(query(instance_id)))["reason"] == "not-running"
    assert account.interrupts == []


def test_refuses_an_instance_that_does_not_exist(account: Account, deliver: Deliver) -> None:
    assert deliver(alarm_action(query(MISSING)))["reason"] == "instance-unknown"
    assert account.interrupts == []


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


def test_a_healthy_instance_is_not_interrupted_for_the_users_own_metric(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.instance_status, account.probe_status = "ok", "Success"
    assert deliver(alarm_action(query(instance_id, HEARTBEAT)))["reason"] == "instance-responds"
    assert account.interrupts == []


@pytest.mark.parametrize(
    "operation",
    ["DescribeInstances", "DescribeInstanceTypes", "DescribeInstanceStatus", "SendCommand", "GetCommandInvocation"],
)
def test_a_fact_that_cannot_be_read_refuses(
    account: Account, deliver: Deliver, instance_id: str, operation: str
) -> None:
    account.fail(operation, "InternalError")
    answer = deliver(alarm_action(query(instance_id)))
    assert (answer["decision"], answer["reason"]) == ("refuse", "evidence-missing")
    assert account.interrupts == []
    assert "as the test says" in str(record(answer["incidentId"]).evidence["notes"])


def test_a_refusal_is_recorded_with_its_evidence_and_told_once_with_what_to_do(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.probe_status = "Success"
    answer = deliver(alarm_action(query(instance_id)))
    deliver(alarm_action(query(instance_id)))
    known = record(answer["incidentId"])
    assert (known.state, known.verdict, known.reason) == (State.REFUSED, Verdict.REFUSED, "instance-responds")
    assert known.evidence["isProbeAnswered"] is True
    (message,) = account.messages
    assert message.startswith(f"Hangdump: refused (instance-responds) {instance_id}\n")
    assert "start CollectVmcore with interrupt: true" in message
    assert answer["incidentId"] in message


def test_an_impossible_interrupt_has_the_verdict_unsupported(
    account: Account, deliver: Deliver, launch: Launch
) -> None:
    answer = deliver(alarm_action(query(launch(instance_type="t4g.micro"))))
    assert record(answer["incidentId"]).verdict == Verdict.UNSUPPORTED
    assert account.messages[0].startswith("Hangdump: unsupported (unsupported-architecture)")


def test_dry_run_decides_and_tells_but_sends_nothing(
    account: Account, deliver: Deliver, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRY_RUN", "true")
    answer = deliver(alarm_action(query(instance_id)))
    assert (answer["decision"], answer["reason"]) == ("dry-run", "dry-run")
    assert account.interrupts == []
    assert account.executions == []
    assert record(answer["incidentId"]).state == State.DRY_RUN
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
    assert record(f"20261123T040000Z-{instance_id}").alarm_name == "parent"
    assert arn("parent").endswith(":parent")


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("UnsupportedOperation", Verdict.UNSUPPORTED),
        ("IncorrectInstanceState", Verdict.REFUSED),
        ("InvalidInstanceID.NotFound", Verdict.REFUSED),
        ("UnauthorizedOperation", Verdict.REFUSED),
        ("RequestLimitExceeded", Verdict.REFUSED),
    ],
)
def test_what_ec2_surely_refused_is_a_refusal_and_nothing_is_collected(
    account: Account, deliver: Deliver, instance_id: str, code: str, verdict: Verdict
) -> None:
    account.fail("SendDiagnosticInterrupt", code)
    answer = deliver(alarm_action(query(instance_id)))
    assert (answer["decision"], answer["reason"]) == ("refuse", code)
    assert account.executions == []
    known = record(answer["incidentId"])
    assert (known.state, known.verdict) == (State.INTERRUPT_REFUSED, verdict)
    assert code in account.messages[0]
    deliver(alarm_action(query(instance_id)))
    assert len(account.interrupts) == 1, "a refused interrupt is not tried again either"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ReadTimeoutError(endpoint_url="https://ec2"), id="answer-lost"),
        pytest.param(ConnectTimeoutError(endpoint_url="https://ec2"), id="no-connection"),
        pytest.param(EndpointConnectionError(endpoint_url="https://ec2"), id="no-endpoint"),
        pytest.param("InternalError", id="http-500"),
        pytest.param("Unavailable", id="http-503"),
        pytest.param("SomethingNew", id="unheard-of"),
    ],
)
def test_what_may_have_been_sent_is_collected_and_never_sent_again(
    account: Account, deliver: Deliver, instance_id: str, error: Exception | str
) -> None:
    if isinstance(error, str):
        account.fail("SendDiagnosticInterrupt", error)
    else:
        account.errors["SendDiagnosticInterrupt"] = error
    answer = deliver(alarm_action(query(instance_id)))
    assert answer["decision"] == "interrupt"
    assert record(answer["incidentId"]).state == State.INTERRUPT_UNCERTAIN
    assert account.executions == [answer["incidentId"]]
    account.heal()
    deliver(alarm_action(query(instance_id)))
    assert len(account.interrupts) == 1


def test_botocore_is_told_not_to_repeat_the_interrupt(account: Account) -> None:
    def attempts(client: Any) -> int:
        retries: dict[str, int] = client.meta.config.retries
        return retries["total_max_attempts"]

    assert attempts(clients.ec2_without_retries()) == 1
    assert attempts(clients.ec2()) > 1


def test_the_policy_needs_every_setting(account: Account, deliver: Deliver, instance_id: str, monkeypatch: Any) -> None:
    monkeypatch.delenv("DRY_RUN")
    with pytest.raises(ValueError, match="DRY_RUN") as raised:
        deliver(alarm_action(query(instance_id)))
    assert "AWS_SECRET_ACCESS_KEY" not in str(raised.value), "a missing variable must not print the others"
    assert account.interrupts == []
