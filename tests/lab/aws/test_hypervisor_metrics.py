"""EC2's own metrics: what the hypervisor counts, by AWS's periods and as late, and a past at its full length."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.aws.account import LabAccount
from lab.machines.machine import Counters
from lab.machines.scripted_machine import ScriptedMachine
from tests.lab.aws.waiting import eventually

# As conftest.py's account shrinks five minutes, and two.
PERIOD_SECONDS, PUBLISHING_SECONDS = 3.0, 1.2


class BusyMachine(ScriptedMachine):
    """One of its two processors always works; it writes ten times a second."""

    def counters(self) -> Counters:
        now = datetime.now(UTC).timestamp()
        return Counters(cpu_seconds=now, processors=2, reads=7, writes=int(now * 10))


def _series(account: LabAccount, instance_id: str, name: str, statistic: str) -> list[tuple[datetime, float]]:
    """In the shortest period there is, so that each datum of the account has its own."""
    dimensions = [{"Name": "InstanceId", "Value": instance_id}]
    metric = {"Namespace": "AWS/EC2", "MetricName": name, "Dimensions": dimensions}
    query = {"Id": "m0", "MetricStat": {"Metric": metric, "Period": 1, "Stat": statistic}}
    now = datetime.now(UTC)
    (found,) = account.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query],
        StartTime=now - timedelta(hours=3),
        EndTime=now,
        ScanBy="TimestampAscending",
    )["MetricDataResults"]
    return list(zip(found["Timestamps"], found["Values"], strict=True))


@pytest.fixture(scope="module")
def busy(account: LabAccount) -> str:
    """An instance of which two periods are published."""
    instance_id = account.add_instance(BusyMachine())
    assert eventually(lambda: len(_series(account, instance_id, "EBSWriteOps", "Sum")) >= 2, timeout_seconds=20)
    return instance_id


@pytest.mark.parametrize(
    ("name", "statistic", "expected"),
    [("CPUUtilization", "Average", 50.0), ("EBSReadOps", "Sum", 0.0), ("EBSWriteOps", "Sum", 10 * PERIOD_SECONDS)],
)
def test_a_period_has_what_was_counted_in_it(
    account: LabAccount, busy: str, name: str, statistic: str, expected: float
) -> None:
    # A loaded computer reads the counters late.
    assert _series(account, busy, name, statistic)[0][1] == pytest.approx(expected, rel=0.3)


def test_periods_follow_each_other_and_begin_at_whole_multiples(account: LabAccount, busy: str) -> None:
    first, second = (at for at, _ in _series(account, busy, "EBSWriteOps", "Sum")[:2])
    assert first.timestamp() % PERIOD_SECONDS == 0
    assert (second - first).total_seconds() == PERIOD_SECONDS


def test_a_period_is_published_some_time_after_its_end(account: LabAccount, busy: str) -> None:
    last, _ = _series(account, busy, "EBSWriteOps", "Sum")[-1]
    assert (datetime.now(UTC) - last).total_seconds() >= PERIOD_SECONDS + PUBLISHING_SECONDS


def test_a_machine_that_nobody_counts_has_no_metrics(account: LabAccount, busy: str) -> None:
    instance_id = account.add_instance(ScriptedMachine())
    before = len(_series(account, busy, "EBSWriteOps", "Sum"))
    assert eventually(lambda: len(_series(account, busy, "EBSWriteOps", "Sum")) > before)
    assert _series(account, instance_id, "EBSWriteOps", "Sum") == []


def test_a_past_that_is_stretched_is_as_long_as_awss_periods_make_it(account: LabAccount) -> None:
    machine = BusyMachine()
    instance_id = account.add_instance(machine)
    assert eventually(lambda: len(_series(account, instance_id, "EBSWriteOps", "Sum")) >= 2, timeout_seconds=20)
    # A ping after the past was stretched would be a new one.
    machine.hang()
    assert eventually(lambda: _age(_last_ping(account, instance_id)) > 4, timeout_seconds=20)
    before = _series(account, instance_id, "EBSWriteOps", "Sum")
    pinged_at = _last_ping(account, instance_id)
    machine.say(f"hangdump-ready boot=x kernel=6 config=0123456789abcdef at={int(time.time())} up=1")

    account.stretch_past(instance_id)

    stretched = _series(account, instance_id, "EBSWriteOps", "Sum")
    assert [value for _, value in stretched[: len(before)]] == [value for _, value in before]
    assert (stretched[1][0] - stretched[0][0]).total_seconds() == pytest.approx(300, abs=1)
    assert _age(_last_ping(account, instance_id)) == pytest.approx(_age(pinged_at) * 100, rel=0.5)
    # It had booted before, and says so on the console.
    ec2 = account.client("ec2")
    (instance,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    assert instance["LaunchTime"] < _last_ping(account, instance_id)
    console = ec2.get_console_output(InstanceId=instance_id, Latest=True)["Output"]
    said_at = int(console.partition(" at=")[2].partition(" ")[0])
    assert time.time() - said_at > 300


def _age(at: datetime) -> float:
    return (datetime.now(UTC) - at).total_seconds()


def _last_ping(account: LabAccount, instance_id: str) -> datetime:
    filters: Any = [{"Key": "InstanceIds", "Values": [instance_id]}]
    (told,) = account.client("ssm").describe_instance_information(Filters=filters)["InstanceInformationList"]
    at: datetime = told["LastPingDateTime"]
    return at
