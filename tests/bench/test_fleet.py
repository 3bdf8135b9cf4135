"""The model of a fleet's enrolment: everybody is enrolled, no faster than the buckets allow."""

import pytest

from bench.fleet import Fleet, Recording, Request
from lab.simulator.request_rates import Bucket, Rate

ONE_A_SECOND = Bucket("service:Call", Rate(1, 1))


def fleet(
    size: int, per_minute: int, *, seconds: float = 0, bucket: Bucket = ONE_A_SECOND, gate: Bucket | None = None
) -> Fleet:
    enrolment = [Request(0, None), Request(seconds, bucket)]
    made = Fleet(Recording(enrolment, transitions=1, gate=[Request(0, gate)]), size, per_minute)
    made.run()
    return made


@pytest.mark.parametrize("size", [1, 7, 300])
def test_everybody_is_enrolled_and_asked_for_once(size: int) -> None:
    enrolled = fleet(size, 10)
    assert (enrolled.granted["service:Call"], enrolled.failed) == (size, 0)


def test_no_bucket_gives_more_than_its_rate() -> None:
    enrolled = fleet(1000, 200)
    assert enrolled.seconds >= 1000
    assert enrolled.refused["service:Call"]


def test_no_more_begin_than_so_many_a_minute() -> None:
    paced = fleet(300, 30)
    assert paced.seconds >= (300 - 5 - 50) / 30 * 60
    assert not paced.refused


def test_no_more_work_at_the_same_time_than_the_map_allows() -> None:
    # At two a minute twenty at a time, so that an hour each makes fifteen hours of three hundred.
    assert fleet(300, 2, seconds=3600).seconds >= (300 - 5 - 50) / 20 * 3600


def test_the_gate_waits_where_the_fleet_has_emptied_its_bucket_and_nowhere_else() -> None:
    assert max(fleet(1000, 200, gate=ONE_A_SECOND).gate_delays) > 0
    assert set(fleet(1000, 200, gate=Bucket("another", Rate(1, 1))).gate_delays) == {0.0}
