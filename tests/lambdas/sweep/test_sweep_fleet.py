"""The fleet in numbers: each enrolled instance is counted once, as what was really seen of it."""

from lambdas.sweep.found import Checked, Found
from lambdas.sweep.report import Readiness, readiness_of_fleet


def checked(instance_id: str, *, is_reachable: bool = True, is_ready: bool | None = None) -> Checked:
    return Checked(instance_id=instance_id, is_reachable=is_reachable, is_ready=is_ready)


def test_every_enrolled_instance_is_counted_once() -> None:
    marked = ("well", "broken", "lost", "mute", "busy")
    found = Found(
        fleet=dict.fromkeys(marked, True) | {"new": False},
        checked=(
            checked("well", is_ready=True),
            checked("broken", is_ready=False),
            checked("lost", is_reachable=False),
            checked("mute", is_ready=None),
        ),
    )

    assert readiness_of_fleet(found) == {
        Readiness.READY: 1,
        Readiness.BROKEN: 1,
        Readiness.UNREACHABLE: 1,
        Readiness.NOT_ASKED: 2,
        Readiness.NOT_PROVISIONED: 1,
    }


def test_a_fleet_without_instances_is_all_zeros() -> None:
    assert readiness_of_fleet(Found(fleet={})) == dict.fromkeys(Readiness, 0)


def test_a_fleet_that_nobody_saw_has_no_numbers() -> None:
    """Zeros would draw a fleet that is gone."""
    assert readiness_of_fleet(Found()) == {}
