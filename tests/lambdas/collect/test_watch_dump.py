"""One look at an interrupted instance: what ends the watch, and what does not."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import StateReason

from lambdas.handlers import open_incident, watch_dump
from lambdas.incident.record import ConsoleBaseline, Incident, State
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.runtime import clients, moment
from lambdas.runtime.errors import InvalidInput
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.conftest import Clock
from tests.lambdas.consoles import BEFORE, CRASH_KERNEL, DEBIAN_DUMPING

NOW = int(aws.NOW.timestamp())
INTERRUPTED = NOW - 20


@pytest.fixture
def incident(account: Account, instance_id: str) -> Incident:
    incident = Incident(
        incident_id=f"20261123T040000Z-{instance_id}",
        instance_id=instance_id,
        state=State.INTERRUPTED,
        claimed_epoch=INTERRUPTED,
        interrupted_epoch=INTERRUPTED,
        dump_deadline_epoch=NOW + 600,
        console_baseline=ConsoleBaseline(end=BEFORE[-512:], length=len(BEFORE)),
    )
    create_incident(aws.TABLE, incident)
    account.console = BEFORE
    return incident


def look(incident: Incident, context: Any, **more: Any) -> dict[str, Any]:
    event = {"incidentId": incident.incident_id, "instanceId": incident.instance_id, **more}
    return watch_dump.handler(event, context)


def answer_probe(account: Account, *, booted_at: int, pinged_at: int = NOW) -> None:
    """The agent has pinged, and probe_instance says when the kernel booted."""
    account.last_ping_at = aws.NOW + timedelta(seconds=pinged_at - NOW)
    account.probe_status = "Success"
    booted = moment.iso(aws.NOW + timedelta(seconds=booted_at - NOW))
    account.probe_stdout = json.dumps({"bootId": "b", "bootedAt": booted, "kernel": "6.1.0-18-cloud-amd64"}) + "\n"


def test_waits_while_nothing_is_to_be_seen(account: Account, incident: Incident, context: Any) -> None:
    assert look(incident, context) == {
        "phase": "waiting",
        "detail": "The console shows no crash kernel yet.",
        "sawCrashKernel": False,
    }
    assert account.named("SendCommand") == [], "nobody is asked before the agent has pinged"


def test_reports_the_progress_of_the_dump(account: Account, incident: Incident, context: Any) -> None:
    account.console = BEFORE + CRASH_KERNEL + DEBIAN_DUMPING
    seen = look(incident, context)
    assert (seen["phase"], seen["progress"], seen["sawCrashKernel"]) == ("dumping", 45, True)


def test_a_crash_kernel_once_seen_stays_seen(account: Account, incident: Incident, context: Any) -> None:
    account.console = BEFORE + CRASH_KERNEL
    look(incident, context)
    account.console = "[   90.000000] what came later has pushed the banner out\n"
    seen = look(incident, context)
    assert (seen["phase"], seen["sawCrashKernel"]) == ("waiting", True)


def test_is_online_once_a_boot_later_than_the_interrupt_answers(
    account: Account, incident: Incident, context: Any
) -> None:
    account.console = BEFORE + CRASH_KERNEL
    answer_probe(account, booted_at=NOW - 2)
    seen = look(incident, context)
    assert (seen["phase"], seen["sawCrashKernel"]) == ("online", True)


def test_did_not_panic_when_the_old_boot_still_answers(account: Account, incident: Incident, context: Any) -> None:
    answer_probe(account, booted_at=NOW - 86400)
    seen = look(incident, context)
    assert seen["phase"] == "no-panic"
    assert "kernel.unknown_nmi_panic" in seen["detail"]


def test_a_guests_clock_that_is_behind_does_not_make_a_reboot_look_old(
    account: Account, incident: Incident, context: Any
) -> None:
    answer_probe(account, booted_at=INTERRUPTED - 30)
    assert look(incident, context)["phase"] == "online"


def test_a_ping_from_before_the_interrupt_proves_nothing(account: Account, incident: Incident, context: Any) -> None:
    answer_probe(account, booted_at=NOW - 86400, pinged_at=INTERRUPTED - 1)
    assert look(incident, context)["phase"] == "waiting"
    assert account.named("SendCommand") == []


@pytest.mark.parametrize(
    ("status", "stdout"),
    [
        pytest.param("Pending", "", id="unanswered"),
        pytest.param("Failed", "", id="failed"),
        pytest.param("Success", "not json", id="garbage"),
        pytest.param("Success", '{"bootedAt":"yesterday"}', id="no-time"),
        pytest.param("Success", '{"bootedAt":"0001-01-01T00:00:00+23:59"}', id="before-time-began"),
        pytest.param("Success", '{"bootedAt":' + "[" * 20_000, id="nested-deeply"),
        pytest.param("Success", '{"bootedAt":' + "9" * 5_000 + "}", id="long-number"),
        pytest.param("Success", "[]", id="no-object"),
    ],
)
def test_goes_on_when_the_probe_tells_no_boot_time(
    account: Account, incident: Incident, context: Any, status: str, stdout: str
) -> None:
    account.last_ping_at = aws.NOW
    account.probe_status, account.probe_stdout = status, stdout
    assert look(incident, context)["phase"] == "waiting"


@pytest.mark.parametrize("operation", ["GetConsoleOutput", "DescribeInstanceInformation"])
def test_goes_on_when_something_cannot_be_read(
    account: Account, incident: Incident, context: Any, operation: str
) -> None:
    account.fail(operation, "InternalError")
    assert look(incident, context)["phase"] == "waiting"


@pytest.fixture
def power_off(incident: Incident) -> Callable[[str], None]:
    """The instance goes off; the argument is the code of its StateReason. moto knows a user's stop only."""

    def power_off(code: str) -> None:
        clients.ec2().stop_instances(InstanceIds=[incident.instance_id])
        instance = ec2_backends[aws.ACCOUNT_ID][aws.REGION].get_instance(incident.instance_id)
        instance.state_reason = StateReason(f"{code}: …", code)

    return power_off


BY_ITSELF = "Client.InstanceInitiatedShutdown"


def test_an_instance_that_powered_itself_off_is_to_be_started_again(
    account: Account, incident: Incident, context: Any, power_off: Callable[[str], None]
) -> None:
    power_off(BY_ITSELF)
    account.console = BEFORE + CRASH_KERNEL
    seen = look(incident, context)
    assert (seen["phase"], seen["sawCrashKernel"]) == ("powered-off", True)


@pytest.mark.parametrize("reason", ["Client.UserInitiatedShutdown", "Server.ScheduledStop", "Client.InternalError", ""])
def test_an_instance_that_others_stopped_is_left_alone(
    incident: Incident, context: Any, power_off: Callable[[str], None], reason: str
) -> None:
    power_off(reason)
    seen = look(incident, context)
    assert seen["phase"] == "stopped"
    assert (
        f"is stopped ({reason}), but its own operating system did not do that" in seen["detail"]
        if reason
        else "left alone" in seen["detail"]
    )


def test_an_instance_is_not_started_a_second_time(
    incident: Incident, context: Any, power_off: Callable[[str], None]
) -> None:
    power_off(BY_ITSELF)
    seen = look(incident, context, isStartedAgain=True)
    assert seen["phase"] == "stopped"
    assert "powered itself off again" in seen["detail"]


def test_an_instance_that_was_not_interrupted_is_not_started(
    incident: Incident, context: Any, power_off: Callable[[str], None]
) -> None:
    IncidentTable(aws.TABLE).update(incident.incident_id, {"state": State.OPENED.value, "interruptedEpoch": None})
    power_off(BY_ITSELF)
    seen = look(incident, context)
    assert seen["phase"] == "stopped"
    assert "Hangdump sent no interrupt" in seen["detail"]


def test_a_terminated_instance_ends_the_watch(incident: Incident, context: Any) -> None:
    clients.ec2().terminate_instances(InstanceIds=[incident.instance_id])
    assert look(incident, context)["phase"] == "stopped"


def test_one_that_is_started_again_has_its_own_time(
    account: Account, incident: Incident, context: Any, clock: Clock
) -> None:
    clock.at += timedelta(seconds=601)
    assert look(incident, context, isStartedAgain=True)["phase"] == "waiting"


def test_the_deadline_ends_the_watch_and_tells_what_was_seen_last(
    account: Account, incident: Incident, context: Any, clock: Clock
) -> None:
    account.console = BEFORE + CRASH_KERNEL
    clock.at += timedelta(seconds=601)
    seen = look(incident, context)
    assert seen["phase"] == "timed-out"
    assert "The crash kernel is booting." in seen["detail"]


def test_an_instance_that_is_back_at_the_last_moment_is_back(
    account: Account, incident: Incident, context: Any, clock: Clock
) -> None:
    answer_probe(account, booted_at=NOW - 2)
    clock.at += timedelta(seconds=601)
    assert look(incident, context)["phase"] == "online"


def test_the_timeline_gets_each_phase_once(account: Account, incident: Incident, context: Any) -> None:
    for console in (BEFORE, BEFORE, BEFORE + CRASH_KERNEL, BEFORE + CRASH_KERNEL):
        account.console = console
        look(incident, context)
    known = IncidentTable(aws.TABLE).read(incident.incident_id)
    assert known is not None
    assert [entry["event"] for entry in known.timeline] == ["waiting", "crash-kernel"]


def test_an_unknown_incident_is_an_error(account: Account, context: Any) -> None:
    with pytest.raises(InvalidInput, match="No incident nowhere"):
        watch_dump.handler({"incidentId": "nowhere", "instanceId": "i-0123456789abcdef0"}, context)


def test_a_dump_that_gets_on_has_more_time_than_the_deadline_gives(
    account: Account, incident: Incident, context: Any, clock: Clock
) -> None:
    IncidentTable(aws.TABLE).update(incident.incident_id, {"dumpLimitEpoch": NOW + 28800})
    account.console = BEFORE + CRASH_KERNEL
    for tenth in range(30):
        clock.at += timedelta(seconds=300)
        account.console += f"Copying data      : [ {tenth / 10:.1f} %] -           eta: 9h\n"
        assert look(incident, context)["phase"] == "dumping"
    clock.at += timedelta(seconds=1201)
    seen = look(incident, context)
    assert (seen["phase"], seen["sawCrashKernel"]) == ("stalled", True)
    assert "makedumpfile has copied 2 %" in seen["detail"]


def test_a_later_execution_judges_the_progress_that_it_sees_itself(
    account: Account, incident: Incident, context: Any, clock: Clock
) -> None:
    account.console = BEFORE + CRASH_KERNEL
    look(incident, context)
    clock.at += timedelta(seconds=5000)
    given = {"instanceId": incident.instance_id, "incidentId": incident.incident_id}
    arn = f"{aws.COLLECT_ARN.replace('stateMachine', 'execution')}:again"
    event = {"input": given, "executionId": arn, "executionName": "again", "startTime": moment.iso(clock.at)}
    open_incident.handler(event, context)
    assert look(incident, context)["phase"] == "crash-kernel"
