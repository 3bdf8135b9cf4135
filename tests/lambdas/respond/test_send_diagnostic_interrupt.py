"""An interrupt by hand: the second signal is waived, nothing else is."""

from datetime import timedelta
from typing import Any

import pytest

from lambdas.handlers import send_diagnostic_interrupt
from lambdas.incident.record import Incident, State, Verdict
from lambdas.incident.table import IncidentTable, create_incident
from lambdas.runtime import clients
from lambdas.runtime.errors import InvalidInput
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.conftest import Clock, Launch

OPENED_AT = "2026-11-23T04:00:00Z"


def ask(instance_id: str, context: Any) -> dict[str, Any]:
    """As the state after "Open incident" does."""
    name = f"20261123T040000Z-{instance_id}"
    opened = Incident(incident_id=name, instance_id=instance_id, origin="manual", opened_at=OPENED_AT)
    create_incident(aws.TABLE, opened)
    return send_diagnostic_interrupt.handler({"incidentId": name, "instanceId": instance_id}, context)


def record(instance_id: str) -> Incident:
    return read_record(f"20261123T040000Z-{instance_id}")


def test_interrupts_a_healthy_instance_without_probing_it(account: Account, instance_id: str, context: Any) -> None:
    account.instance_status, account.probe_status = "ok", "Success"
    answer = ask(instance_id, context)
    assert (answer["decision"], answer["reason"]) == ("interrupt", "requested")
    assert answer["interruptedEpoch"] == int(aws.NOW.timestamp())
    assert account.interrupts == [instance_id]
    assert account.named("SendCommand") == []
    known = record(instance_id)
    assert known.state == State.INTERRUPTED
    assert known.opened_at == OPENED_AT
    assert known.console_baseline


def test_people_hear_at_once_and_once_of_an_interrupt_by_hand(account: Account, instance_id: str, context: Any) -> None:
    ask(instance_id, context)
    (message,) = account.messages
    assert message.startswith(f"Hangdump: {instance_id} was interrupted (requested)\n")
    assert record(instance_id).incident_id in message
    ask(instance_id, context)
    assert len(account.messages) == 1


def test_an_interrupt_by_hand_that_nobody_could_be_told_of_is_collected_all_the_same(
    account: Account, instance_id: str, context: Any
) -> None:
    account.fail("Publish", "AuthorizationError")
    assert ask(instance_id, context)["decision"] == "interrupt"
    account.heal()
    ask(instance_id, context)
    assert len(account.messages) == 2


def test_every_answer_says_since_when_a_vmcore_counts(account: Account, context: Any) -> None:
    """The state that follows "interrupt" reads it: a path that leads nowhere ends the execution without a verdict."""
    instance_id, name = "i-0123456789abcdef0", "20261123T040000Z-concluded"
    known = Incident(incident_id=name, instance_id=instance_id, state=State.CONCLUDED, decision="interrupt")
    create_incident(aws.TABLE, known)
    answer = send_diagnostic_interrupt.handler({"incidentId": name, "instanceId": instance_id}, context)
    assert (answer["decision"], answer["since"]) == ("interrupt", "none")
    assert account.interrupts == []


CRASH_KERNEL = "[    0.000000] Linux version 6.1.0-28 (x)\n[    0.000000] Command line: elfcorehdr=0x3c000000\n"


def test_the_dump_of_a_panic_by_itself_is_fetched_when_a_person_asks_for_an_interrupt(
    account: Account, instance_id: str, context: Any
) -> None:
    account.console = CRASH_KERNEL
    answer = ask(instance_id, context)
    assert (answer["decision"], answer["reason"]) == ("interrupt", "dump-under-way")
    assert account.interrupts == []
    # Its vmcore can be older than the request.
    assert answer["since"] == str(int(account.last_ping_at.timestamp()) - 60)
    known = record(instance_id)
    assert (known.state, known.decision, known.console_baseline) == (State.PANICKED, "collect", None)
    assert f"{instance_id} panicked on its own" in account.messages[0]
    assert ask(instance_id, context) == answer


def test_a_panic_whose_incident_is_concluded_is_refused_by_hand_too(
    account: Account, instance_id: str, context: Any, clock: Clock
) -> None:
    account.console = CRASH_KERNEL
    ask(instance_id, context)
    IncidentTable(aws.TABLE).update(record(instance_id).incident_id, {"state": State.CONCLUDED.value})
    clock.at += timedelta(days=1)
    again = Incident(incident_id=f"20261124T040000Z-{instance_id}", instance_id=instance_id, origin="manual")
    create_incident(aws.TABLE, again)
    event = {"incidentId": again.incident_id, "instanceId": instance_id}
    answer = send_diagnostic_interrupt.handler(event, context)
    assert (answer["decision"], answer["reason"]) == ("refuse", "dump-under-way")
    assert "which is concluded" in answer["detail"]


@pytest.mark.parametrize(
    ("instance_type", "tags", "reason"),
    [
        pytest.param("t3.micro", {"hangdump:ready": "2026-11-22T00:00:00Z"}, "not-enrolled", id="no-opt-in"),
        pytest.param("t3.micro", {"hangdump:enrolled": "true"}, "not-ready", id="not-ready"),
        pytest.param("t2.micro", None, "unsupported-hypervisor", id="xen"),
        pytest.param("t4g.micro", None, "unsupported-architecture", id="graviton"),
    ],
)
def test_refuses_by_what_the_instance_is(
    account: Account, launch: Launch, context: Any, instance_type: str, tags: dict[str, str] | None, reason: str
) -> None:
    instance_id = launch(instance_type=instance_type, tags=tags)
    answer = ask(instance_id, context)
    assert (answer["decision"], answer["reason"]) == ("refuse", reason)
    assert answer["detail"]
    assert account.interrupts == []
    assert record(instance_id).state == State.REFUSED


@pytest.mark.parametrize(
    ("turned", "reason"),
    [
        ({"system_status": "impaired"}, "system-check-failed"),
        ({"attached_ebs_status": "impaired"}, "ebs-check-failed"),
    ],
)
def test_refuses_when_the_host_or_a_disk_is_at_fault(
    account: Account, instance_id: str, context: Any, turned: dict[str, str], reason: str
) -> None:
    for name, value in turned.items():
        setattr(account, name, value)
    assert ask(instance_id, context)["reason"] == reason
    assert account.interrupts == []


def test_refuses_a_stopped_instance(account: Account, instance_id: str, context: Any) -> None:
    clients.ec2().stop_instances(InstanceIds=[instance_id])
    assert ask(instance_id, context)["reason"] == "not-running"


def test_dry_run_holds_for_humans_too(
    account: Account, instance_id: str, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRY_RUN", "true")
    assert ask(instance_id, context)["decision"] == "dry-run"
    assert account.interrupts == []
    assert record(instance_id).state == State.DRY_RUN


def test_the_state_entered_again_answers_the_same_and_sends_nothing(
    account: Account, instance_id: str, context: Any
) -> None:
    assert ask(instance_id, context) == ask(instance_id, context)
    assert account.interrupts == [instance_id]


def test_a_refusal_entered_again_stays_one(account: Account, instance_id: str, context: Any) -> None:
    account.system_status = "impaired"
    first = ask(instance_id, context)
    account.system_status = "ok"
    assert ask(instance_id, context) == first
    assert account.interrupts == []


def test_what_ec2_refused_is_a_refusal(account: Account, instance_id: str, context: Any) -> None:
    account.fail("SendDiagnosticInterrupt", "UnsupportedOperation")
    answer = ask(instance_id, context)
    assert (answer["decision"], answer["reason"]) == ("refuse", "UnsupportedOperation")
    assert record(instance_id).verdict == Verdict.UNSUPPORTED
    account.heal()
    assert ask(instance_id, context)["decision"] == "refuse"
    assert len(account.interrupts) == 1


def test_what_may_have_been_sent_is_awaited(account: Account, instance_id: str, context: Any) -> None:
    account.fail("SendDiagnosticInterrupt", "InternalError")
    assert ask(instance_id, context)["decision"] == "interrupt"
    assert record(instance_id).state == State.INTERRUPT_UNCERTAIN


def test_an_unknown_incident_is_an_error(account: Account, context: Any) -> None:
    with pytest.raises(InvalidInput, match="No incident nowhere"):
        send_diagnostic_interrupt.handler({"incidentId": "nowhere", "instanceId": "i-0123456789abcdef0"}, context)
