"""The page of the fleet: counts, order, and text that stays text."""

from lambdas.fleet.row import Status
from lambdas.report import render_fleet
from lambdas.report.fleet_page import compose_fleet
from tests.lambdas.report.fleets import MIXED, row


def test_says_how_many_are_ready_and_counts_no_one_who_has_left() -> None:
    assert "<h1>40 of 45 enrolled instances are ready.</h1>" in render_fleet(MIXED)
    assert "No instance is enrolled." in render_fleet([])


def test_those_that_need_somebody_come_first_and_the_ready_ones_last() -> None:
    found = [each.row.status for each in compose_fleet(MIXED).entries]
    assert {*found[:4]} == {Status.FAILED, Status.REBOOT_REQUIRED, Status.UNSUPPORTED, Status.NOT_READY}
    assert found[4:] == [Status.DRIFTED, *[Status.READY] * 40, Status.RETIRED]


def test_a_large_fleet_is_cut_where_nobody_is_needed() -> None:
    page = compose_fleet([*(row(number, Status.READY) for number in range(5000)), *MIXED])
    assert (len(page.entries), page.left_out, page.ready) == (2000, 3046, 5040)
    assert page.entries[0].row.needs_action
    assert "3046 more are in fleet.json" in render_fleet([*(row(n, Status.READY) for n in range(5000)), *MIXED])


def test_words_of_an_instance_are_shown_and_not_run() -> None:
    html = render_fleet([*MIXED, row(99, Status.DRIFTED, profile="\u202e<script>alert(1)")])
    assert "<script>alert" not in html
    assert "\u202e" not in html


def test_a_ready_instance_says_what_drills_have_proven_of_it() -> None:
    known = {"image_id": "ami-0123456789abcdef0", "instance_type": "m5.large", "kernel": "6.1", "configuration_id": "x"}
    proven, never, unknown = (
        render_fleet([row(1, Status.READY, **each)])
        for each in ({**known, "proven_at": "2026-11-29T02:00:00Z"}, known, {**known, "kernel": ""})
    )
    assert "A drill proved a dump with this image and kernel on 2026-11-29 02:00." in proven
    assert "No drill has proven a dump with this image and kernel." in never
    assert "drill" not in unknown
