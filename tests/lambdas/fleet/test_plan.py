"""What EnrolFleet does about each instance, and what the table says of it from then on."""

from dataclasses import replace
from typing import Any

import pytest

from lambdas.fleet.attempts import after_failure, after_retirement, after_success
from lambdas.fleet.plan import NO_OUTCOME, Action, Member
from lambdas.fleet.row import FleetRow, Reason, Status
from lambdas.runtime import moment
from tests.lambdas.fleet.fleets import CURRENT, INSTANCE, NOW, OLD, hours, item, member, planned, row

AN_HOUR_AGO = moment.iso(NOW - hours(1))


def failed(error: str = "PackageUnavailable", *, hours_ago: float = 3, **known: Any) -> FleetRow:
    """The row after one failed attempt."""
    before = row(Status.NOT_READY, configuration_id="", **known)
    return after_failure(before, error, "It said why.", configuration_id=CURRENT, now=NOW - hours(hours_ago))


TABLE = {
    "new": ([member()], [], Action.PROVISION, Status.NOT_READY, "not-provisioned"),
    "ready": ([member(is_marked_ready=True)], [row()], Action.NOTHING, Status.READY, None),
    "made ready before there was a table": (
        [member(is_marked_ready=True)],
        [],
        Action.NOTHING,
        Status.READY,
        "adopted",
    ),
    "made ready with settings of before": (
        [member(is_marked_ready=True)],
        [row(configuration_id=OLD, tried_configuration_id=OLD)],
        Action.PROVISION,
        Status.DRIFTED,
        "drifted",
    ),
    "lost its mark": ([member()], [row()], Action.PROVISION, Status.NOT_READY, "mark-gone"),
    "made ready a moment ago, the tag not seen yet": (
        [member()],
        [row(tried_at=moment.iso(NOW - hours(0.1)))],
        Action.NOTHING,
        Status.READY,
        None,
    ),
    "stopped": ([member(state="stopped")], [row()], Action.NOTHING, Status.NOT_READY, "not-running"),
    "pending": ([member(state="pending")], [], Action.NOTHING, Status.NOT_READY, "not-running"),
    "back after a stop": (
        [member(is_marked_ready=True)],
        [row(Status.NOT_READY)],
        Action.NOTHING,
        Status.READY,
        None,
    ),
    "tagged with another value": (
        [member(enrolled="True")],
        [],
        Action.NOTHING,
        Status.NOT_READY,
        "wrong-tag-value",
    ),
    "the tag's value changed": (
        [member(enrolled="false", is_marked_ready=True)],
        [row()],
        Action.RETIRE,
        Status.RETIRING,
        "wrong-tag-value",
    ),
    "the tag was removed": ([member(enrolled=None)], [row()], Action.RETIRE, Status.RETIRING, "tag-removed"),
    "the tag was removed in the middle": (
        [member(enrolled=None)],
        [row(Status.NOT_READY, error=NO_OUTCOME, configuration_id="", tried_at=AN_HOUR_AGO)],
        Action.RETIRE,
        Status.RETIRING,
        "tag-removed",
    ),
    "terminated while enrolled": (
        [member(state="terminated", is_marked_ready=True)],
        [row()],
        Action.RETIRE,
        Status.RETIRING,
        "instance-terminated",
    ),
    "forgotten by EC2": ([], [row()], Action.RETIRE, Status.RETIRING, "instance-terminated"),
    "retired": ([member(enrolled=None)], [row(Status.RETIRED)], Action.NOTHING, Status.RETIRED, "tag-removed"),
    "enrolled again": ([member()], [row(Status.RETIRED)], Action.PROVISION, Status.NOT_READY, "not-provisioned"),
    "failed long ago": ([member()], [failed()], Action.PROVISION, Status.FAILED, "PackageUnavailable"),
    "failed just now": ([member()], [failed(hours_ago=0.5)], Action.NOTHING, Status.FAILED, "PackageUnavailable"),
    "failed just now, restarted since": (
        [member(launched_at=NOW - hours(0.2))],
        [failed(hours_ago=0.5)],
        Action.PROVISION,
        Status.FAILED,
        "PackageUnavailable",
    ),
    "unsupported": (
        [member()],
        [failed("UnsupportedHypervisor", hours_ago=48)],
        Action.NOTHING,
        Status.UNSUPPORTED,
        "UnsupportedHypervisor",
    ),
    "unsupported, of another type since": (
        [member(launched_at=NOW - hours(1))],
        [failed("UnsupportedHypervisor", hours_ago=1000)],
        Action.PROVISION,
        Status.UNSUPPORTED,
        "UnsupportedHypervisor",
    ),
    "needs a reboot": (
        [member(is_marked_ready=True)],
        [after_success(row(), {"status": "reboot-required"}, configuration_id=CURRENT, now=NOW - hours(0.5))],
        Action.NOTHING,
        Status.REBOOT_REQUIRED,
        "reboot-required",
    ),
    "may have been rebooted since": (
        [member()],
        [after_success(row(), {"status": "reboot-required"}, configuration_id=CURRENT, now=NOW - hours(2))],
        Action.PROVISION,
        Status.REBOOT_REQUIRED,
        "reboot-required",
    ),
}


@pytest.mark.parametrize(("members", "rows", "action", "status", "reason"), TABLE.values(), ids=list(TABLE))
def test_every_instance_has_an_action_a_status_and_a_reason(
    members: list[Member], rows: list[FleetRow], action: Action, status: Status, reason: str | None
) -> None:
    found = item(members, rows)

    assert (found.action, found.row.status) == (action, status)
    assert [each.code for each in found.row.reasons] == ([reason] if reason else [])
    assert found.reason
    if found.row.status not in (Status.READY, Status.RETIRING, Status.RETIRED):
        assert all(each.remedy for each in found.row.reasons if each.code != "PackageUnavailable")


@pytest.mark.parametrize(
    ("known", "failed_hours_ago", "action"),
    [
        pytest.param(row(), 1, Action.PROVISION, id="ready"),
        pytest.param(row(), 25, Action.NOTHING, id="made-ready-since"),
        pytest.param(row(tried_at="", configuration_id=""), 1, Action.NOTHING, id="adopted"),
        pytest.param(failed(hours_ago=3), 6, Action.PROVISION, id="a-repair-failed-and-is-due"),
        pytest.param(failed(hours_ago=0.5), 6, Action.NOTHING, id="a-repair-failed-just-now"),
    ],
)
def test_a_marked_instance_whose_check_failed_is_provisioned_again(
    known: FleetRow, failed_hours_ago: float, action: Action
) -> None:
    marked = member(is_marked_ready=True)
    found = item([marked], [known], failed_checks={INSTANCE: NOW - hours(failed_hours_ago)})
    assert found.action is action
    assert (found.row.status is Status.READY) is (found.row.error == "" and action is Action.NOTHING)


WAITING: dict[str, Any] = {"next_attempt_at": moment.iso(NOW + hours(1)), "reasons": (Reason(code="reboot-required"),)}


def rebooted(*rows: FleetRow, **known: Any) -> list[str]:
    """Whom a plan in a window for reboots has rebooted."""
    members = [member(each.instance_id) for each in rows if each.status is not Status.RETIRED]
    plan = planned(members, list(rows), **{"may_reboot": True, "reboots_per_zone": 10, **known})
    return [each.instance_id for each in plan.work if each.reboot]


def to_reboot(number: int, **known: Any) -> FleetRow:
    return row(Status.REBOOT_REQUIRED, instance_id=f"i-{number:08x}", **{**WAITING, **known})


def test_whoever_waits_for_a_reboot_is_rebooted_in_a_window_and_never_outside() -> None:
    assert rebooted(to_reboot(1)) == ["i-00000001"]
    assert rebooted(to_reboot(1), may_reboot=False) == []
    assert rebooted(row(), to_reboot(2)) == ["i-00000002"]


def test_a_wave_takes_so_many_of_a_group_and_of_a_zone() -> None:
    members = [member(f"i-{number:08x}", group="web" if number < 4 else "", zone="a") for number in range(9)]
    rows = [to_reboot(number) for number in range(9)]
    plan = planned(members, rows, may_reboot=True, reboots_per_group=1, reboots_per_zone=3)
    assert [each.instance_id for each in plan.work] == ["i-00000000", "i-00000004", "i-00000005"]


def test_nobody_else_is_rebooted_until_the_one_before_is_ready() -> None:
    """Also in the next window: what kept it may await the others as well."""
    first = item([member()], [row(Status.REBOOT_REQUIRED, **WAITING)], may_reboot=True, round_id="one/1").row
    assert first.rebooted_at
    silent = after_failure(first, "InstanceUnreachable", "No agent.", configuration_id=CURRENT, now=NOW)
    assert rebooted(silent, to_reboot(2)) == []
    ready = after_success(silent, {"status": "ready"}, configuration_id=CURRENT, now=NOW)
    assert rebooted(ready, to_reboot(2)) == ["i-00000002"]
    assert rebooted(after_retirement(silent, now=NOW), to_reboot(2)) == ["i-00000002"]


def test_a_reboot_that_was_planned_and_never_begun_does_not_stop_the_others_for_ever() -> None:
    """Its child died. An hour later it is provisioned as any other, and answers."""
    first = item([member()], [row(Status.REBOOT_REQUIRED, **WAITING)], may_reboot=True).row
    later = item([member()], [first], now=NOW + hours(1.1), may_reboot=True)
    assert (later.action, later.reboot) == (Action.PROVISION, False)
    outcome = {"status": "reboot-required"}
    seen = after_success(later.row, outcome, configuration_id=CURRENT, now=NOW + hours(1.2))
    assert set(rebooted(seen, to_reboot(2))) == {INSTANCE, "i-00000002"}


def test_a_reboot_that_a_group_would_answer_with_a_replacement_stops_nobody_and_is_tried_when_due() -> None:
    outcome = {"status": "reboot-required", "whyNotReboot": "It is InService in the group web."}
    claimed = to_reboot(1, rebooted_at=moment.iso(NOW))
    refused = after_success(claimed, outcome, configuration_id=CURRENT, now=NOW)
    assert rebooted(refused, to_reboot(2)) == ["i-00000002"]


def test_an_instance_without_an_agent_waits_and_spends_no_attempt() -> None:
    young = member(launched_at=NOW - hours(0.1))

    plan = planned([young], silent=[INSTANCE])

    (found,) = plan.items
    assert (found.action, found.row.status, found.row.attempts) == (Action.NOTHING, Status.WAITING_FOR_AGENT, 0)
    assert plan.is_waiting
    assert planned([young], list(plan.rows)).work[0].action is Action.PROVISION


def test_nobody_waits_for_an_agent_that_does_not_come() -> None:
    assert not planned([member()], silent=[INSTANCE]).is_waiting


def test_a_fleet_over_its_limit_takes_the_oldest_and_tells_the_others() -> None:
    members = [member(f"i-0000000{number}", launched_at=NOW - hours(number)) for number in range(5)]

    plan = planned(members, fleet_limit=2)

    assert [each.instance_id for each in plan.work] == ["i-00000003", "i-00000004"]
    others = [each.row for each in plan.items if each.action is Action.NOTHING]
    assert [each.reasons[0].code for each in others] == ["over-fleet-limit"] * 3
    assert "fleetLimit" in others[0].reasons[0].remedy


def test_whoever_is_in_stays_in_when_the_limit_sinks() -> None:
    members = [member(f"i-0000000{number}", is_marked_ready=True) for number in range(3)]
    rows = [row(instance_id=each.instance_id, configuration_id=OLD, tried_configuration_id=OLD) for each in members]

    assert len(planned(members, rows, fleet_limit=1).work) == 3


def test_a_round_takes_so_many_and_retires_first() -> None:
    members = [member(f"i-0000000{number}") for number in range(4)]
    leaving = row(instance_id="i-00000009")

    plan = planned([*members, member("i-00000009", enrolled=None)], [leaving], most=2)

    assert [each.instance_id for each in plan.work] == ["i-00000000", "i-00000009"]
    unclaimed = next(each.row for each in plan.items if each.instance_id == "i-00000001")
    assert (unclaimed.tried_at, unclaimed.round) == ("", "")


def test_whoever_is_planned_is_left_alone_for_an_hour_even_if_nothing_is_heard_of_him() -> None:
    claimed = item([member()]).row
    assert (claimed.error, claimed.round) == (NO_OUTCOME, "one/1")

    assert item([member()], [claimed], now=NOW + hours(0.9)).action is Action.NOTHING
    assert item([member()], [claimed], now=NOW + hours(1)).action is Action.PROVISION


def test_a_plan_that_was_carried_out_leaves_nothing_to_do() -> None:
    work = planned([member()]).work
    noted = after_success(work[0].row, {"status": "ready"}, configuration_id=CURRENT, now=NOW)

    again = planned([member(is_marked_ready=True)], [noted])

    assert (again.work, again.rows) == ((), ())


def test_a_drifted_instance_that_fails_is_tried_again_later_and_says_why() -> None:
    old = row(configuration_id=OLD, tried_configuration_id=OLD)
    marked = member(is_marked_ready=True)
    claimed = item([marked], [old]).row
    after = after_failure(claimed, "PackageUnavailable", "No mirror.", configuration_id=CURRENT, now=NOW)

    soon, later = (item([marked], [after], now=NOW + hours(each)) for each in (0.5, 1))

    assert (soon.action, soon.row.status, soon.row.reasons[0].observed) == (Action.NOTHING, Status.FAILED, "No mirror.")
    assert later.action is Action.PROVISION


def test_a_retirement_that_fails_is_tried_again_and_one_that_ends_is_kept_with_its_overrides() -> None:
    leaving = member(enrolled=None)
    claimed = item([leaving], [row(overrides={"sizeGib": 20})]).row
    unheard = after_failure(claimed, "AwsUnavailable", "Throttled.", configuration_id=CURRENT, now=NOW)

    assert unheard.status is Status.RETIRING
    assert item([leaving], [unheard], now=NOW + hours(0.5)).action is Action.NOTHING
    assert item([leaving], [unheard], now=NOW + hours(1)).action is Action.RETIRE

    retired = after_retirement(claimed, now=NOW)
    assert (retired.status, retired.reasons[0].code, retired.overrides) == (
        Status.RETIRED,
        "tag-removed",
        {"sizeGib": 20},
    )
    assert retired.expires_at_epoch > moment.epoch(NOW)
    again = item([member()], [retired], now=NOW + hours(1))
    assert (again.action, again.row.expires_at_epoch, again.row.overrides) == (Action.PROVISION, 0, {"sizeGib": 20})


def test_since_tells_when_the_status_began_not_when_it_was_last_written() -> None:
    stopped = item([member(state="stopped")], [row()]).row
    assert stopped.since == moment.iso(NOW)

    assert item([member(state="stopping")], [stopped], now=NOW + hours(5)).row.since == moment.iso(NOW)


def test_a_row_is_written_only_when_it_says_something_new() -> None:
    first = planned([member(state="stopped")], [row()]).rows
    assert len(first) == 1
    assert planned([member(state="stopped")], list(first)).rows == ()


def test_a_changed_setting_forgives_earlier_failures() -> None:
    unsupported = replace(failed("UnsupportedFamily"), tried_configuration_id=OLD)
    assert item([member()], [unsupported]).action is Action.PROVISION


@pytest.mark.parametrize("noted", ["i-0fedcba9876543210", ""], ids=["noted", "just launched"])
def test_the_twin_of_a_drill_is_neither_provisioned_nor_retired_nor_counted(noted: str) -> None:
    twin = replace(member(), instance_id="i-0fedcba9876543210", drill="by-hand")
    its_row = replace(row(Status.READY), instance_id=twin.instance_id)

    made = planned([twin, member()], [its_row], fleet_limit=1, drills={"by-hand": noted})

    assert [each.instance_id for each in made.items] == [INSTANCE]
    assert [each.action for each in made.items] == [Action.PROVISION]


@pytest.mark.parametrize("drills", [{}, {"by-hand": "i-0fedcba9876543210"}], ids=["no such drill", "of another twin"])
def test_the_tag_of_a_drill_alone_takes_nobody_out_of_the_fleet(drills: dict[str, str]) -> None:
    (only,) = planned([member(drill="by-hand", is_marked_ready=True)], [row()], drills=drills).items
    assert (only.instance_id, only.row.status) == (INSTANCE, Status.READY)


def test_a_profile_reaches_an_instance_as_a_changed_setting_does_and_leaves_it_so() -> None:
    profiles = {"database": "settings-of-database"}
    with_it, without = member(is_marked_ready=True, profile="database"), member(is_marked_ready=True)

    picked = item([with_it], [row()], profiles=profiles)

    assert (picked.action, picked.reason) == (Action.PROVISION, "drifted")
    assert (picked.row.profile, picked.row.tried_configuration_id) == ("database", "settings-of-database")
    made = after_success(picked.row, {"status": "ready"}, configuration_id="settings-of-database", now=NOW)
    assert item([with_it], [made], profiles=profiles).action is Action.NOTHING
    left = item([without], [made], profiles=profiles)
    assert (left.action, left.reason, left.row.profile) == (Action.PROVISION, "drifted", "")


def test_a_profile_that_does_not_exist_leaves_an_instance_as_it_is_and_says_so() -> None:
    ready = item([member(is_marked_ready=True, profile="databse")], [row()], profiles={"database": "x"})
    new = item([member(profile="databse")], profiles={})

    assert [(each.action, each.row.status) for each in (ready, new)] == [
        (Action.NOTHING, Status.DRIFTED),
        (Action.NOTHING, Status.NOT_READY),
    ]
    (reason,) = ready.row.reasons
    assert (reason.code, reason.severity) == ("unknown-profile", "error")
    assert "'databse'" in reason.observed
    assert "one of database" in reason.remedy


def test_an_instance_with_a_wrong_profile_can_be_retired_at_its_pace() -> None:
    """Its last attempt counts, whatever the settings would be."""
    leaving = after_failure(
        row(Status.RETIRING, profile="databse"), "HostUnreachable", "…", configuration_id=CURRENT, now=NOW - hours(0.5)
    )
    assert item([member(enrolled=None, profile="databse")], [leaving], profiles={}).action is Action.NOTHING


def test_a_row_says_when_a_drill_proved_its_image_kernel_and_settings_and_nothing_of_others() -> None:
    known = member(is_marked_ready=True, image_id="ami-1", instance_type="m5.large", kernel="6.1")
    proven = {f"proof#ami-1#m5#6.1#{CURRENT}": "2026-11-22T00:00:00Z"}

    assert item([known], [row()], proven=proven).row.proven_at == "2026-11-22T00:00:00Z"
    for other in (
        replace(known, kernel="6.2"),
        replace(known, image_id="ami-2"),
        replace(known, instance_type="c5.large"),
    ):
        assert item([other], [row(proven_at="2026-11-22T00:00:00Z")], proven=proven).row.proven_at == ""
    assert item([known], [row(configuration_id=OLD)], proven=proven).row.proven_at == ""


def test_a_profile_that_does_not_exist_hides_no_pending_reboot() -> None:
    waiting = after_success(row(), {"status": "reboot-required"}, configuration_id=CURRENT, now=NOW - hours(0.5))
    mistyped = item([member(is_marked_ready=True, profile="databse")], [waiting]).row
    assert (mistyped.status, mistyped.reasons[0].code) == (Status.REBOOT_REQUIRED, "unknown-profile")

    corrected = item([member(is_marked_ready=True)], [mistyped])

    assert (corrected.action, corrected.row.status) == (Action.PROVISION, Status.REBOOT_REQUIRED)


def test_settings_that_were_tried_in_vain_are_taken_back() -> None:
    """The host may have half of them, whatever its mark says."""
    tried = after_failure(row(), "InstanceUnreachable", "…", configuration_id=OLD, now=NOW - hours(0.5))
    assert item([member(is_marked_ready=True)], [tried]).action is Action.PROVISION
