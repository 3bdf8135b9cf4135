"""When an alarm interrupts nobody: by what the instance is, how it is, and what could not be read; and who is told."""

import pytest

from lambdas.incident.record import State, Verdict
from lambdas.runtime import clients
from tests.lambdas.account import Account, read_record
from tests.lambdas.alarm_events import HEARTBEAT, alarm_action, query
from tests.lambdas.conftest import Deliver, Launch

MISSING = "i-0ffffffffffffffff"


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


def test_a_healthy_instance_is_not_interrupted_for_the_users_own_metric(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.instance_status = "ok"
    assert deliver(alarm_action(query(instance_id, HEARTBEAT)))["reason"] == "status-check-passes"
    account.instance_status, account.probe_status = "impaired", "Success"
    later = alarm_action(query(instance_id, HEARTBEAT), at="2026-11-23T04:00:10.000+0000")
    assert deliver(later)["reason"] == "instance-responds"
    assert account.interrupts == []


@pytest.mark.parametrize(
    "operation",
    [
        *("DescribeInstances", "DescribeInstanceTypes", "DescribeInstanceStatus", "GetMetricData"),
        *("SendCommand", "GetCommandInvocation"),
    ],
)
def test_a_fact_that_cannot_be_read_refuses(
    account: Account, deliver: Deliver, instance_id: str, operation: str
) -> None:
    account.fail(operation, "InternalError")
    answer = deliver(alarm_action(query(instance_id)))
    assert (answer["decision"], answer["reason"]) == ("refuse", "evidence-missing")
    assert account.interrupts == []
    assert "as the test says" in str(read_record(answer["incidentId"]).evidence["notes"])


def test_a_refusal_is_recorded_with_its_evidence_and_told_once_with_what_to_do(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.probe_status = "Success"
    answer = deliver(alarm_action(query(instance_id)))
    deliver(alarm_action(query(instance_id)))
    known = read_record(answer["incidentId"])
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
    assert read_record(answer["incidentId"]).verdict == Verdict.UNSUPPORTED
    assert account.messages[0].startswith("Hangdump: unsupported (unsupported-architecture)")


def test_a_zone_whose_hosts_fail_is_told_ten_times_and_no_more(
    account: Account, deliver: Deliver, launch: Launch
) -> None:
    account.system_status = "impaired"
    zone = [launch() for _ in range(30)]
    for instance_id in zone:
        assert deliver(alarm_action(query(instance_id)))["reason"] == "system-check-failed"
    assert len(account.messages) == 10
    assert "more refusals in eu-west-1" in account.messages[-1].splitlines()[0]


def test_a_failing_zone_is_recognised_when_the_reads_of_alarms_are_throttled(
    account: Account, deliver: Deliver, instance_id: str
) -> None:
    account.impaired_in_zone = [account.impaired_since] * 7
    account.fail("DescribeAlarmsForMetric", "ThrottlingException")
    assert deliver(alarm_action(query(instance_id)))["reason"] == "correlated-failure"
