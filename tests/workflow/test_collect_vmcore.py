"""CollectVmcore and the response to an alarm, interpreted from the synthesized template."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab.guest.deadline import wait_until
from lab.machines.composed_dump import BUILD_ID, LOG_TEXT
from tests.workflow.conftest import Stack
from tests.workflow.simulated_host import SimulatedHost


def collection_of(stack: Stack, instance_id: str) -> dict[str, Any]:
    """Waits until the alarm's execution for an instance is over."""
    states = stack.account.client("stepfunctions")

    def find() -> str:
        listed = states.list_executions(stateMachineArn=stack.outputs["CollectVmcoreArn"])["executions"]
        return next((each["executionArn"] for each in listed if each["name"].endswith(instance_id)), "")

    arn = wait_until(find, what="CollectVmcore starts", timeout_seconds=60)
    return stack.account.wait_for_execution(arn, timeout_seconds=120)


def test_brings_home_the_vmcore_of_an_instance_that_hangs(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.machine.hang()

    ended = collection_of(stack, ready_instance_id)

    assert ended["output"]["verdict"] == "captured"
    objects = stack.objects_of(ready_instance_id)
    assert objects["vmcore"] == host.dump_bytes
    assert b"NMI: Not continuing" in objects["vmcore-dmesg.txt"]
    incident = json.loads(objects["incident.json"])
    assert incident["verdict"] == "captured"
    before = {"before/console.txt", "before/screenshot.jpg", "before/status.json", "before/metrics.json"}
    assert before <= set(objects)
    assert {f"before/{key.rsplit('/', 1)[1]}" for name, key in incident["keys"].items() if "Before" in name} == before
    assert b"elfcorehdr" not in objects["before/console.txt"]
    assert host.vmcores() == []
    assert host.machine.nmi_count == 1


def test_sends_one_interrupt_for_two_deliveries_at_the_same_moment(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    # Nobody but the two deliveries below.
    stack.account.client("cloudwatch").delete_alarms(AlarmNames=[f"hangdump-{ready_instance_id}"])
    host.machine.hang()
    stack.account.check_status_now(ready_instance_id)
    event = alarm_event(stack, ready_instance_id)

    with ThreadPoolExecutor(2) as pool:
        decisions = list(pool.map(lambda _: stack.account.invoke("Hangdump-respond_to_hang", event), range(2)))

    assert sorted(each["decision"] for each in decisions) == ["duplicate", "interrupt"]
    collection_of(stack, ready_instance_id)
    assert host.machine.nmi_count == 1


def test_refuses_a_false_alarm_with_the_evidence(stack: Stack, host: SimulatedHost, ready_instance_id: str) -> None:
    decision = stack.account.invoke("Hangdump-respond_to_hang", alarm_event(stack, ready_instance_id))

    assert decision["decision"] == "refuse"
    assert decision["reason"] == "status-check-passes"
    assert host.machine.nmi_count == 0
    record = incident_record(stack, decision["incidentId"])
    assert record["verdict"]["S"] == "refused"
    assert record["evidence"]["M"]["instanceStatus"]["S"] == "ok"


def test_refuses_when_the_instance_still_executes_commands(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    # A user's own metric says that it hangs; the probe says that it does not.
    decision = stack.account.invoke(
        "Hangdump-respond_to_hang", alarm_event(stack, ready_instance_id, namespace="Shop", metric="Heartbeat")
    )

    assert (decision["decision"], decision["reason"]) == ("refuse", "instance-responds")
    assert host.machine.nmi_count == 0


def test_fetches_a_dump_that_is_already_there(stack: Stack, host: SimulatedHost, instance_id: str) -> None:
    host.panic()

    ended = stack.run("CollectVmcore", instanceId=instance_id)

    assert ended["output"]["verdict"] == "captured"
    assert stack.objects_of(instance_id)["vmcore"] == host.dump_bytes
    assert host.machine.nmi_count == 0


def test_interrupts_first_when_asked_to(stack: Stack, host: SimulatedHost, ready_instance_id: str) -> None:
    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert ended["output"]["verdict"] == "captured"
    assert host.machine.nmi_count == 1
    assert "before/screenshot.jpg" in stack.objects_of(ready_instance_id)


def test_refuses_to_interrupt_by_hand_what_is_not_ready(stack: Stack, host: SimulatedHost, instance_id: str) -> None:
    ended = stack.run("CollectVmcore", instanceId=instance_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "refused")
    assert "not-ready" in ended["cause"]
    assert host.machine.nmi_count == 0


def test_ends_in_panic_no_dump_when_the_crash_kernel_writes_nothing(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.writes_dump = False

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "panic-no-dump")


def test_ends_in_no_panic_when_the_kernel_shrugs_the_interrupt_off(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.panics_on_nmi = False

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "no-panic")


def test_keeps_an_incomplete_vmcore_and_saves_its_log(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.dump_name = "dump-incomplete"

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert (ended["status"], ended["error"]) == ("FAILED", "incomplete")
    objects = stack.objects_of(ready_instance_id)
    assert "vmcore" not in objects
    assert b"NMI: Not continuing" in objects["vmcore-dmesg.txt"]
    assert len(host.vmcores()) == 1


def test_keeps_a_vmcore_on_the_instance_that_does_not_open(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.dump_bytes = b"KDUMP   " + bytes(range(256)) * 40_000
    host.machine.hang()

    ended = collection_of(stack, ready_instance_id)

    assert (ended["status"], ended["error"]) == ("FAILED", "incomplete")
    assert "does not open as a dump. Its header is damaged" in ended["cause"]
    assert len(host.vmcores()) == 1
    assert stack.objects_of(ready_instance_id)["vmcore"] == host.dump_bytes


def test_takes_the_kernels_log_out_of_the_vmcore_when_the_text_beside_it_is_cut(
    stack: Stack, host: SimulatedHost, ready_instance_id: str
) -> None:
    host.dmesg = LOG_TEXT[:80]
    host.machine.hang()

    ended = collection_of(stack, ready_instance_id)

    assert ended["output"]["panicLine"] == "Kernel panic - not syncing: NMI: Not continuing"
    objects = stack.objects_of(ready_instance_id)
    assert objects["vmcore-log.txt"].decode() == LOG_TEXT
    incident = json.loads(objects["incident.json"])
    assert incident["opened"]["buildId"] == BUILD_ID
    assert incident["keys"]["log"].endswith("/vmcore-log.txt")


def test_says_that_there_is_no_vmcore_to_fetch(stack: Stack, instance_id: str) -> None:
    ended = stack.run("CollectVmcore", instanceId=instance_id)

    assert ended["status"] == "FAILED"
    assert "VmcoreNotFound" in ended["cause"] or "no dump" in ended["cause"]


def test_keeps_the_vmcore_when_the_bucket_refuses(stack: Stack, host: SimulatedHost, ready_instance_id: str) -> None:
    host.fails_with["upload_vmcore"] = {"error": "UploadRefused", "message": "part 1 was refused with 403."}

    ended = stack.run("CollectVmcore", instanceId=ready_instance_id, interrupt=True)

    assert ended["status"] == "FAILED"
    assert len(host.vmcores()) == 1


@pytest.mark.parametrize(
    "execution_input",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"instanceId": "i-xyz"}, id="no instance id"),
        pytest.param({"instanceId": "i-0123456789abcdef0"}, id="an instance that does not exist"),
        pytest.param({"instanceId": "i-0123456789abcdef0", "interupt": True}, id="a misspelt field"),
    ],
)
def test_ends_bad_input_with_a_verdict_that_names_it(stack: Stack, execution_input: dict[str, object]) -> None:
    ended = stack.run("CollectVmcore", **execution_input)

    assert ended["status"] == "FAILED"
    assert ended["error"] in {"failed", "refused"}
    named = [*execution_input, "instanceId"]
    assert any(name in ended["cause"] or str(execution_input.get(name)) in ended["cause"] for name in named)


def test_an_alarm_without_an_instance_is_an_error_that_names_the_alarm(stack: Stack) -> None:
    event = alarm_event(stack, "")
    event["alarmData"]["configuration"]["metrics"][0]["metricStat"]["metric"]["dimensions"] = {}

    with pytest.raises(Exception, match=r"InvalidInput.*hangdump-"):
        stack.account.invoke("Hangdump-respond_to_hang", event)


def test_removes_the_alarm_of_a_retired_instance(stack: Stack, ready_instance_id: str) -> None:
    retired = stack.account.invoke("Hangdump-retire_instance", {"instanceId": ready_instance_id})

    assert retired["alarmDeleted"]
    assert stack.alarms_of(ready_instance_id) == []
    assert "hangdump:ready" not in stack.tags_of(ready_instance_id)


def incident_record(stack: Stack, incident_id: str) -> dict[str, Any]:
    table = stack.outputs["IncidentTableName"]
    key = {"pk": {"S": f"incident#{incident_id}"}}
    item: dict[str, Any] = stack.account.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    return item


def alarm_event(
    stack: Stack, instance_id: str, *, namespace: str = "AWS/EC2", metric: str = "StatusCheckFailed_Instance"
) -> dict[str, Any]:
    """What CloudWatch sends to a Lambda action (facts of its documentation; the account's own alarms send the same)."""
    account, region = stack.account.account_id, stack.account.region
    name = f"hangdump-{instance_id}"
    return {
        "source": "aws.cloudwatch",
        "alarmArn": f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
        "accountId": account,
        "time": "2026-11-23T04:00:00.000+0000",
        "region": region,
        "alarmData": {
            "alarmName": name,
            "state": {"value": "ALARM", "reason": "threshold crossed", "timestamp": "2026-11-23T04:00:00.000+0000"},
            "previousState": {"value": "OK", "timestamp": "2026-11-23T03:00:00.000+0000"},
            "configuration": {
                "metrics": [
                    {
                        "id": "m1",
                        "metricStat": {
                            "metric": {
                                "namespace": namespace,
                                "name": metric,
                                "dimensions": {"InstanceId": instance_id},
                            },
                            "period": 60,
                            "stat": "Maximum",
                        },
                        "returnData": True,
                    }
                ]
            },
        },
    }
