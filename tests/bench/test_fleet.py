"""The model of a fleet's enrolment: everybody is enrolled, no faster than the buckets allow."""

import pytest

from bench.fleet import Fleet, Recording, Request
from lab.simulator.request_rates import Bucket, Rate

ONE_A_SECOND = Bucket("service:Call", Rate(1, 1))


def fleet(
    size: int, concurrency: int, *, seconds: float = 0, bucket: Bucket = ONE_A_SECOND, gate: Bucket | None = None
) -> Fleet:
    enrolment = [Request(0, None), Request(seconds, bucket)]
    made = Fleet(Recording(enrolment, transitions=1, gate=[Request(0, gate)]), size, concurrency)
    made.run()
    return made


@pytest.mark.parametrize("size", [1, 7, 300])
def test_everybody_is_enrolled_and_asked_for_once(size: int) -> None:
    enrolled = fleet(size, 10)
    assert (enrolled.granted["service:Call"], enrolled.failed) == (size, 0)


def test_no_bucket_gives_more_than_its_rate() -> None:
    enrolled = fleet(1000, 50)
    assert enrolled.seconds >= 1000
    assert enrolled.refused["service:Call"]


def test_no_more_than_so_many_work_at_the_same_time() -> None:
    slow = fleet(100, 2, seconds=60, bucket=Bucket("service:Call", Rate(2, 1)))
    assert slow.seconds >= 100 / 2 * 60
    assert not slow.refused


def test_the_gate_waits_where_the_fleet_has_emptied_its_bucket_and_nowhere_else() -> None:
    assert max(fleet(1000, 50, gate=ONE_A_SECOND).gate_delays) > 0
    assert set(fleet(1000, 50, gate=Bucket("another", Rate(1, 1))).gate_delays) == {0.0}
