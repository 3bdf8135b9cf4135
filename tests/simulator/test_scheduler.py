"""The engine's own rules: time passes only when all wait, order is always the same, the dead do nothing more."""

from collections.abc import Iterator

import pytest

from lab.simulator.injection import Site
from lab.simulator.scheduler import Killed, Signal, VirtualThread, scheduler
from tests.simulator.faults.documented_errors import documented_errors
from tests.simulator.faults.matrix import Depth, faults_at


@pytest.fixture
def began() -> Iterator[float]:
    yield scheduler.now
    scheduler.run(until=lambda: False, seconds=1000)


def test_days_pass_at_once_and_in_order(began: float) -> None:
    told: list[tuple[str, int]] = []

    def wait(name: str, seconds: float) -> None:
        scheduler.sleep(seconds)
        told.append((name, round(scheduler.now - began)))

    scheduler.spawn(wait, "day", 86400.0)
    scheduler.spawn(wait, "hour", 3600.0)
    scheduler.run(until=lambda: len(told) == 2, seconds=None)

    assert told == [("hour", 3600), ("day", 86400)]


def test_a_wait_ends_with_its_signal_or_with_its_time(began: float) -> None:
    signal, heard = Signal(), []

    def listen(timeout: float) -> None:
        heard.append((signal.wait(timeout), round(scheduler.now - began)))

    scheduler.spawn(listen, 5.0)
    scheduler.spawn(listen, 60.0)
    scheduler.sleep(30)
    signal.set()
    scheduler.sleep(60)

    assert heard == [(False, 5), (True, 30)]


def test_joining_with_a_time_leaves_the_thread_at_work(began: float) -> None:
    thread = VirtualThread(target=scheduler.sleep, args=(100.0,))
    thread.start()
    thread.join(10)
    assert thread.is_alive()
    thread.join()
    assert not thread.is_alive()


def test_what_is_killed_reaches_nothing_any_more(began: float) -> None:
    reached = []

    def work() -> None:
        try:
            scheduler.sleep(10)
            reached.append("its next step")
        finally:
            with pytest.raises(Killed):
                scheduler.check_alive()

    activity = scheduler.spawn(work)
    scheduler.sleep(5)
    activity.kill()
    scheduler.sleep(60)

    assert activity.is_over
    assert reached == []


def test_the_errors_of_an_action_are_those_of_its_own_api() -> None:
    codes = {error.code for error in documented_errors("ssm", "SendCommand")}
    assert {"InvalidInstanceId", "InternalServerError", "MaxDocumentSizeExceeded", "ThrottlingException"} <= codes
    assert "IdempotentParameterMismatch" in {error.code for error in documented_errors("ec2", "CreateVolume")}


def test_an_error_that_passes_by_itself_has_two_cells() -> None:
    site = Site("plan_upload", "s3:PutObject")
    slow_downs = [fault.times for fault in faults_at(site, Depth.ALL) if fault.code == "SlowDown"]
    denials = [fault.times for fault in faults_at(site, Depth.ALL) if fault.code == "AccessDenied"]
    assert (len(slow_downs), slow_downs[0]) == (2, 1)
    assert len(denials) == 1
