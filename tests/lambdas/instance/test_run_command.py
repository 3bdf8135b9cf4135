"""What an answer to the probe proves, and what a silence does."""

from datetime import UTC, datetime

import pytest

from lambdas.instance.probe import ProbeAnswer, probe
from tests.lambdas import account as aws
from tests.lambdas.account import Account
from tests.lambdas.conftest import Clock

INSTANCE = "i-0123456789abcdef0"


def ask(timeout_seconds: int = 45) -> ProbeAnswer:
    return probe(INSTANCE, document="Hangdump-probe_instance", timeout_seconds=timeout_seconds)


@pytest.mark.parametrize(
    ("status", "details", "is_answered"),
    [
        ("Success", "Success", True),
        ("Failed", "Failed", True),
        ("Pending", "Pending", False),
        ("InProgress", "InProgress", False),
        ("Delayed", "Delayed", False),
        ("TimedOut", "DeliveryTimedOut", False),
        ("TimedOut", "Delivery Timed Out", False),
        ("TimedOut", "ExecutionTimedOut", False),
        ("Failed", "Undeliverable", False),
        ("Cancelled", "Cancelled", None),
        ("Cancelling", "Cancelling", None),
        ("Failed", "AccessDenied", None),
        ("Failed", "InvalidPlatform", None),
        ("Failed", "Terminated", None),
    ],
)
def test_what_a_status_proves(account: Account, status: str, details: str, is_answered: bool | None) -> None:
    account.probe_status, account.probe_details = status, details
    assert ask().is_answered is is_answered


def test_waits_the_time_given_and_not_longer(account: Account, clock: Clock) -> None:
    ask(timeout_seconds=45)
    assert 45 <= (clock.at - aws.NOW).total_seconds() < 47


def test_an_answer_ends_the_wait_at_the_first_look(account: Account, clock: Clock) -> None:
    account.probe_status, account.probe_stdout = "Success", '{"bootId":"1"}'
    assert ask().stdout == '{"bootId":"1"}'
    assert (clock.at - aws.NOW).total_seconds() == 1.5


def test_an_invocation_that_is_not_visible_yet_is_pending(account: Account) -> None:
    account.fail("GetCommandInvocation", "InvocationDoesNotExist")
    assert ask().is_answered is False


def test_a_status_that_cannot_be_read_at_the_end_proves_nothing(account: Account) -> None:
    account.fail("GetCommandInvocation", "InternalServerError")
    assert ask().is_answered is None


def test_the_command_expires_instead_of_running_hours_later(account: Account) -> None:
    ask(timeout_seconds=10)
    (sent,) = account.named("SendCommand")
    assert sent["TimeoutSeconds"] == 30
    assert sent["InstanceIds"] == [INSTANCE]


@pytest.mark.parametrize(
    ("ping_status", "is_answered"),
    [
        pytest.param("ConnectionLost", False, id="connection-lost-is-no-life"),
        pytest.param(None, None, id="never-registered-proves-nothing"),
        pytest.param("Online", None, id="online-but-not-for-us-proves-nothing"),
    ],
)
def test_a_command_that_systems_manager_does_not_take(
    account: Account, ping_status: str | None, is_answered: bool | None
) -> None:
    account.fail("SendCommand", "InvalidInstanceId")
    account.ping_status = ping_status
    account.last_ping_at = datetime(2026, 11, 23, 3, 40, tzinfo=UTC)
    answer = ask()
    assert answer.is_answered is is_answered
    if ping_status == "ConnectionLost":
        assert "2026-11-23T03:40:00Z" in answer.detail


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "InvalidDocument"])
def test_a_command_that_cannot_be_sent_proves_nothing(account: Account, code: str) -> None:
    account.fail("SendCommand", code)
    assert ask().is_answered is None
