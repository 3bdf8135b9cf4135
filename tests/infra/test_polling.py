"""The arithmetic of waiting."""

import pytest

from infra.states.poll import Polling, polling


def test_the_interval_stays_constant_when_the_looks_fit() -> None:
    assert polling(3600, 10, max_polls=400) == Polling(10, 0, 360)


def test_the_interval_grows_only_as_much_as_needed() -> None:
    chosen = polling(14400, 10, max_polls=150)
    assert (chosen.first_seconds, chosen.growth_seconds) == (10, 2)
    assert chosen.limit <= 150


@pytest.mark.parametrize("timeout_seconds", [1, 59, 60, 3600, 43200, 86400])
@pytest.mark.parametrize("first_seconds", [1, 2, 10, 300])
@pytest.mark.parametrize("at_most", [60, 150, 400])
def test_the_looks_cover_the_whole_timeout_within_their_number(
    timeout_seconds: int, first_seconds: int, at_most: int
) -> None:
    chosen = polling(timeout_seconds, first_seconds, max_polls=at_most)
    assert chosen.limit <= at_most
    assert chosen.total_seconds >= timeout_seconds
    one_less = Polling(chosen.first_seconds, chosen.growth_seconds, chosen.limit - 1)
    assert one_less.total_seconds < timeout_seconds
