"""How large a round is, and when the next one would do no better."""

from datetime import UTC, datetime

import pytest

from lambdas.fleet.plan import NO_OUTCOME
from lambdas.fleet.rounds import round_id, round_size, start_of, why_halt
from lambdas.fleet.row import FleetRow, Status
from tests.lambdas.fleet.fleets import row

ROUND = round_id("enrol", 2)


def members(count: int, status: Status, error: str = "") -> list[FleetRow]:
    return [row(status, instance_id=f"i-{number:08x}", error=error, round=ROUND) for number in range(count)]


def test_rounds_grow_from_five_to_fifty_to_two_hours() -> None:
    assert [round_size(number, 20) for number in (1, 2, 3, 4)] == [5, 50, 2400, 2400]


def test_no_round_is_larger_than_what_its_map_may_answer() -> None:
    assert round_size(3, 95) == 10_000


def test_the_items_of_a_round_start_one_after_the_other() -> None:
    begin = datetime(2026, 12, 1, tzinfo=UTC)
    starts = [(start_of(place, 20, begin) - begin).total_seconds() for place in (0, 1, 20, 2399)]
    assert starts == [0, 3, 60, 7197]


@pytest.mark.parametrize(
    ("rows", "is_halted"),
    [
        pytest.param(members(40, Status.READY) + members(10, Status.FAILED, "PackageUnavailable"), True, id="a-fifth"),
        pytest.param(members(41, Status.READY) + members(10, Status.FAILED, "PackageUnavailable"), False, id="fewer"),
        pytest.param(members(5, Status.FAILED, "PackageUnavailable"), False, id="a-handful-proves-nothing"),
        pytest.param(
            members(9, Status.FAILED, "PackageUnavailable") + members(9, Status.FAILED, "DeviceHoldsData"),
            False,
            id="different-errors",
        ),
        pytest.param(members(50, Status.UNSUPPORTED, "UnsupportedPlatform"), False, id="refused-before-a-touch"),
        pytest.param(members(50, Status.REBOOT_REQUIRED), False, id="reboots-left-to-owners"),
        pytest.param(members(12, Status.NOT_READY, NO_OUTCOME), True, id="nothing-heard-of-them"),
        pytest.param(members(12, Status.DRIFTED, NO_OUTCOME), True, id="nothing-heard-of-drifted-ones"),
    ],
)
def test_halts_when_many_fail_alike(rows: list[FleetRow], is_halted: bool) -> None:
    others = [row(Status.FAILED, error="PackageUnavailable", round="another/1")] * 30
    assert bool(why_halt([*rows, *others], ROUND)) is is_halted


def test_says_how_many_failed_with_what_and_one_of_them() -> None:
    said = why_halt(members(30, Status.FAILED, "PackageUnavailable"), ROUND)
    assert "30 of 30" in said
    assert "PackageUnavailable" in said
    assert "i-00000000" in said
