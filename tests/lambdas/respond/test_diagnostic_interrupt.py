"""What EC2's answer to the interrupt means: sent, surely not sent, or nobody knows."""

from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from lambdas.incident.record import State, Verdict
from lambdas.runtime import clients
from tests.lambdas.account import Account, read_record
from tests.lambdas.alarm_events import alarm_action, query
from tests.lambdas.conftest import Deliver


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
    known = read_record(answer["incidentId"])
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
    assert read_record(answer["incidentId"]).state == State.INTERRUPT_UNCERTAIN
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
