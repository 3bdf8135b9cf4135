"""One delivery of an alarm is answered at a time, and a dead one keeps out nobody but the others, and not for ever."""

from datetime import UTC, datetime, timedelta

from lambdas.respond import lease
from lambdas.respond.lease import Lease
from tests.lambdas import account as aws
from tests.lambdas.account import Account

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def take(request_id: str, *, later: float = 0) -> Lease:
    return lease.take(aws.TABLE, "incident", request_id=request_id, now=NOW + timedelta(seconds=later), seconds=300)


def test_lambdas_repetition_of_a_dead_attempt_goes_on_at_once(account: Account) -> None:
    assert take("first") is Lease.FIRST
    assert take("first", later=60) is Lease.AGAIN


def test_another_delivery_is_kept_out_while_one_may_be_at_work(account: Account) -> None:
    take("first")
    assert take("second", later=299) is Lease.HELD


def test_another_delivery_takes_over_when_the_time_is_over(account: Account) -> None:
    take("first")
    assert take("second", later=301) is Lease.AGAIN
    assert take("first", later=302) is Lease.HELD
