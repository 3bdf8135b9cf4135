"""What each way of starting CollectVmcore means for the rest of it."""

from typing import Any

import pytest

from lambdas.handlers import open_incident
from lambdas.incident.record import Incident, State, Verdict
from lambdas.incident.table import create_incident
from lambdas.runtime import clients
from lambdas.runtime.errors import (
    HangdumpError,
    InstanceNotEnrolled,
    InstanceNotFound,
    InstanceNotManaged,
    InstanceNotRunning,
    InvalidInput,
)
from lambdas.runtime.tags import DRILL_TAG
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.conftest import Launch

ID = "i-0123456789abcdef0"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:CollectVmcore:by-hand"
NOW = int(aws.NOW.timestamp())


def start(context: Any, given: Any, *, execution: str = EXECUTION) -> dict[str, Any]:
    event = {
        "input": given,
        "executionId": execution,
        "executionName": execution.rsplit(":", 1)[1],
        "startTime": "2026-11-23T04:00:10.123Z",
    }
    return open_incident.handler(event, context)


def test_a_fetch_takes_any_vmcore_and_awaits_no_crash(account: Account, instance_id: str, context: Any) -> None:
    incident_id = f"20261123T040010Z-{instance_id}"
    assert start(context, {"instanceId": instance_id}) == {
        "incidentId": incident_id,
        "instanceId": instance_id,
        "accountId": aws.ACCOUNT_ID,
        "region": aws.REGION,
        "interruptRequested": False,
        "sinceEpoch": 0,
        "since": "none",
        "dumpDeadlineEpoch": NOW + 3600,
        "isCrashExpected": False,
        "isParked": False,
    }
    assert read_record(incident_id).origin == "fetch"


def test_an_interrupt_by_hand_takes_only_what_is_newer_than_the_request(
    account: Account, instance_id: str, context: Any
) -> None:
    opened = start(context, {"instanceId": instance_id, "interrupt": True})
    assert opened["interruptRequested"] is True
    assert opened["isCrashExpected"] is True
    assert NOW - 120 < opened["sinceEpoch"] < NOW
    assert opened["since"] == str(opened["sinceEpoch"])
    assert read_record(opened["incidentId"]).state == State.OPENED


def test_a_fetch_from_a_twin_belongs_to_its_drill(instance_id: str, context: Any) -> None:
    clients.ec2().create_tags(Resources=[instance_id], Tags=[{"Key": DRILL_TAG, "Value": "drill-by-hand"}])
    opened = start(context, {"instanceId": instance_id})
    assert read_record(opened["incidentId"]).drill == "drill-by-hand"


INTERRUPTED = Incident(
    incident_id=f"20261123T040000Z-{ID}",
    instance_id=ID,
    account_id="210987654321",
    region="eu-north-1",
    state=State.INTERRUPTED,
    origin="alarm",
    claimed_epoch=NOW - 20,
    interrupted_epoch=NOW - 19,
)


def test_an_alarms_incident_is_found_with_its_own_account_region_and_time(account: Account, context: Any) -> None:
    create_incident(aws.TABLE, INTERRUPTED)
    opened = start(context, {"instanceId": ID, "incidentId": INTERRUPTED.incident_id})
    assert (opened["accountId"], opened["region"]) == ("210987654321", "eu-north-1")
    assert opened["isCrashExpected"] is True
    assert opened["interruptRequested"] is False
    # The guest's clock may be behind.
    assert opened["sinceEpoch"] == NOW - 19 - 60


@pytest.mark.parametrize("state", [State.INTERRUPTING, State.INTERRUPT_UNCERTAIN])
def test_an_interrupt_that_is_not_known_to_be_sent_is_dated_by_its_claim(
    account: Account, context: Any, state: State
) -> None:
    uncertain = INTERRUPTED.model_copy(update={"state": state, "interrupted_epoch": None})
    create_incident(aws.TABLE, uncertain)
    opened = start(context, {"instanceId": ID, "incidentId": INTERRUPTED.incident_id})
    assert opened["sinceEpoch"] == NOW - 20 - 60


@pytest.mark.parametrize("given", [{}, {"interrupt": True}])
def test_the_state_retried_opens_the_same_incident(
    account: Account, instance_id: str, context: Any, given: dict[str, Any]
) -> None:
    assert start(context, {"instanceId": instance_id} | given) == start(context, {"instanceId": instance_id} | given)


def test_two_executions_in_one_second_do_not_share_an_incident(
    account: Account, instance_id: str, context: Any
) -> None:
    start(context, {"instanceId": instance_id})
    with pytest.raises(InvalidInput, match="Another execution opened the incident"):
        start(context, {"instanceId": instance_id}, execution=EXECUTION + "-too")


def test_a_later_execution_has_its_own_time_to_wait(account: Account, context: Any) -> None:
    create_incident(
        aws.TABLE, INTERRUPTED.model_copy(update={"dump_deadline_epoch": NOW - 5, "execution_name": "first"})
    )
    opened = start(context, {"instanceId": ID, "incidentId": INTERRUPTED.incident_id})
    assert opened["dumpDeadlineEpoch"] == NOW + 3600


@pytest.mark.parametrize(
    ("update", "given", "said"),
    [
        pytest.param({}, {"instanceId": "i-0fedcba9876543210"}, "i-0fedcba9876543210 has no incident", id="other"),
        pytest.param({}, {"instanceId": ID, "interrupt": True}, "exclude each other", id="interrupt-again"),
        pytest.param(
            {"state": State.REFUSED, "claimed_epoch": None, "interrupted_epoch": None},
            {"instanceId": ID},
            "sent no interrupt: it is refused",
            id="refused",
        ),
        pytest.param(
            {"state": State.INTERRUPT_REFUSED, "interrupted_epoch": None},
            {"instanceId": ID},
            "sent no interrupt: it is interrupt-refused",
            id="refused-by-ec2",
        ),
        pytest.param(
            {"state": State.CONCLUDED, "verdict": Verdict.CAPTURED},
            {"instanceId": ID},
            "already in the bucket",
            id="got",
        ),
    ],
)
def test_an_incident_that_cannot_be_collected(
    account: Account, context: Any, update: dict[str, Any], given: dict[str, Any], said: str
) -> None:
    create_incident(aws.TABLE, INTERRUPTED.model_copy(update=update))
    with pytest.raises(InvalidInput, match=said) as raised:
        start(context, given | {"incidentId": INTERRUPTED.incident_id})
    assert "start CollectVmcore with" in str(raised.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"instanceId": ID, "interrupt": "true"}, "interrupt = 'true'"),
        ({"instanceId": ID, "interrupt": 1}, "interrupt = 1"),
        ({"instanceId": ID, "Interrupt": True}, "Interrupt = True: no such key; allowed are instanceId, interrupt"),
        ({"instanceId": "../../etc"}, "instanceId = '../../etc'"),
        ({"instanceId": ID, "incidentId": "x/../y"}, "incidentId = 'x/../y'"),
        ([ID], "input = "),
    ],
)
def test_a_wrong_input_is_named(account: Account, context: Any, given: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        start(context, given)
    assert said in str(raised.value)


@pytest.mark.parametrize("interrupt", [False, True])
def test_an_instance_that_does_not_exist_is_an_error_before_anything_is_recorded(
    account: Account, context: Any, interrupt: bool
) -> None:
    with pytest.raises(InstanceNotFound, match=f"no instance {ID}"):
        start(context, {"instanceId": ID, "interrupt": interrupt})
    assert account.named("PutItem") == []


@pytest.mark.parametrize(
    ("is_stopped", "ping_status", "error"),
    [
        pytest.param(True, "Online", InstanceNotRunning, id="stopped"),
        pytest.param(False, "ConnectionLost", InstanceNotManaged, id="connection-lost"),
        pytest.param(False, None, InstanceNotManaged, id="never-registered"),
    ],
)
def test_a_fetch_needs_an_instance_that_answers(
    account: Account,
    instance_id: str,
    context: Any,
    is_stopped: bool,
    ping_status: str | None,
    error: type[HangdumpError],
) -> None:
    if is_stopped:
        clients.ec2().stop_instances(InstanceIds=[instance_id])
    account.ping_status = ping_status
    with pytest.raises(error, match=instance_id):
        start(context, {"instanceId": instance_id})


def test_an_interrupt_by_hand_needs_no_answering_instance(account: Account, instance_id: str, context: Any) -> None:
    account.ping_status = "ConnectionLost"
    assert start(context, {"instanceId": instance_id, "interrupt": True})["interruptRequested"] is True


@pytest.mark.parametrize("tags", [{}, {"Hangdump:Enrolled": "true"}, {"hangdump:enrolled": "TRUE"}])
def test_nothing_is_fetched_from_an_instance_whose_owner_did_not_opt_in(
    account: Account, launch: Launch, context: Any, tags: dict[str, str]
) -> None:
    """IAM would take another case of the tag's name."""
    instance_id = launch(tags=tags)
    with pytest.raises(InstanceNotEnrolled):
        start(context, {"instanceId": instance_id})
