"""What a sweep concludes: when something is left behind, and what may ever be removed."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.incident.record import ANALYSIS_OPENED, RESCUE_OPENED, timeline_entry
from lambdas.sweep.case import Action, Finding, Policy
from lambdas.sweep.found import (
    GONE,
    Alarm,
    Checked,
    Found,
    IncidentFacts,
    InStandby,
    ParkedSnapshot,
    ShortLived,
    Snapshot,
    Upload,
    Volume,
)
from lambdas.sweep.judge import judge
from tests.lambdas.account import NOW

HOST, INCIDENT, RESCUE = "i-0123456789abcdef0", "20261120T040000Z-i-0123456789abcdef0", "rescue-1"
OLD, YOUNG = NOW - timedelta(days=4), NOW - timedelta(minutes=10)


def opened(event: str, at: datetime, detail: str = "") -> tuple[dict[str, str], ...]:
    """The timeline of a record: when an execution began to make things."""
    return (timeline_entry(at, event, detail),)


RESCUED = opened(RESCUE_OPENED, OLD)
CONCLUDED = IncidentFacts(
    incident_id=INCIDENT,
    instance_id=HOST,
    state="concluded",
    verdict="captured",
    opened_at=OLD,
    is_running=False,
    execution_name=RESCUE,
    timeline=RESCUED,
)
FAILED = replace(CONCLUDED, verdict="failed")
VOLUME = Volume(
    volume_id="vol-1",
    instance_id=HOST,
    maker="",
    incident_id="",
    is_removable=True,
    is_attached=False,
    size_gib=8,
    created_at=OLD,
)
COPY = replace(VOLUME, volume_id="vol-2", maker=RESCUE, incident_id=INCIDENT)
SNAPSHOT = Snapshot(
    snapshot_id="snap-1",
    volume_id="vol-1",
    instance_id=HOST,
    maker=RESCUE,
    incident_id=INCIDENT,
    is_removable=True,
    created_at=OLD,
)
COLLECTOR = ShortLived(
    short_lived_id="i-collector",
    instance_id=HOST,
    maker=RESCUE,
    incident_id=INCIDENT,
    is_removable=True,
    is_of_its_maker=True,
    launched_at=OLD,
)
UPLOAD = Upload(
    key=f"vmcores/1/eu/{HOST}/{INCIDENT}/vmcore",
    upload_id="u",
    instance_id=HOST,
    incident_id=INCIDENT,
    initiated_at=OLD,
)
PARKED = ParkedSnapshot(snapshot_id="snap-2", instance_id=HOST, created_at=OLD, is_of_stack=True)
ALARM = Alarm(name=f"hangdump-{HOST}", instance_id=HOST, updated_at=OLD)
CHECKED = Checked(instance_id=HOST, is_reachable=True, ping_status="Online", is_ready=True)
NOT_LOADED = {"crash-kernel-not-loaded": "kexec_crash_loaded is 0"}
UNREADY = replace(CHECKED, is_ready=False, is_crash_kernel_loaded=False, faults=NOT_LOADED)
DUMP = replace(CHECKED, uncollected="/var/crash/1/dump (37 MiB)", is_complete=True)
ALIVE = {HOST: "running"}


def judged(found: Found, **policy: Any) -> list[tuple[str, str]]:
    return [(each.kind, each.action.value) for each in judge(found, now=NOW, policy=Policy(**policy))]


def of(incident: IncidentFacts | None) -> dict[str, IncidentFacts | None]:
    return {INCIDENT: incident}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(Found(volumes=(VOLUME,), instances={HOST: GONE}), [("orphaned-volume", "report")], id="gone"),
        pytest.param(
            Found(volumes=(VOLUME,), instances={HOST: "terminated"}), [("orphaned-volume", "report")], id="terminated"
        ),
        pytest.param(
            Found(volumes=(VOLUME,), instances={HOST: "running"}), [("unused-volume", "report")], id="never attached"
        ),
        pytest.param(Found(volumes=(replace(VOLUME, is_attached=True),), instances={HOST: "stopped"}), [], id="in use"),
        pytest.param(Found(volumes=(VOLUME,)), [], id="instance not looked up"),
        pytest.param(
            Found(volumes=(replace(VOLUME, created_at=YOUNG),), instances={HOST: GONE}), [], id="just created"
        ),
    ],
)
def test_a_dump_volume_that_nothing_uses_is_reported_and_kept(found: Found, expected: list[tuple[str, str]]) -> None:
    assert judged(found) == expected


@pytest.mark.parametrize(
    ("updated_at", "instances", "expected"),
    [
        (OLD, {HOST: GONE}, [("alarm-without-instance", "delete-alarm")]),
        (OLD, {HOST: "terminated"}, [("alarm-without-instance", "delete-alarm")]),
        (OLD, ALIVE, []),
        (OLD, {}, []),
        (YOUNG, {HOST: GONE}, []),
    ],
    ids=["gone", "terminated", "alive", "not looked up", "just put"],
)
def test_the_alarm_of_a_terminated_instance_goes(
    updated_at: datetime, instances: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    assert judged(Found(alarms=(replace(ALARM, updated_at=updated_at),), instances=instances)) == expected


@pytest.mark.parametrize(
    ("incident", "instances", "age", "expected"),
    [
        pytest.param(CONCLUDED, ALIVE, timedelta(hours=2), "abort-upload", id="captured by a later upload"),
        pytest.param(FAILED, ALIVE, timedelta(days=4), "abort-upload", id="given up, the vmcore is on its instance"),
        pytest.param(FAILED, ALIVE, timedelta(days=2), None, id="may be resumed"),
        pytest.param(FAILED, {HOST: GONE}, timedelta(days=4), "report", id="the parts may be all there is"),
        pytest.param(FAILED, {}, timedelta(days=4), "report", id="instance not looked up"),
        pytest.param(None, ALIVE, timedelta(days=4), "report", id="no record"),
        pytest.param(replace(FAILED, is_running=True), ALIVE, timedelta(days=4), None, id="at work"),
    ],
)
def test_an_upload_is_aborted_when_its_vmcore_is_elsewhere(
    incident: IncidentFacts | None, instances: dict[str, str], age: timedelta, expected: str | None
) -> None:
    upload = replace(UPLOAD, initiated_at=NOW - age)
    found = Found(uploads=(upload,), instances=instances, incidents=of(incident))
    assert judged(found) == ([("abandoned-upload", expected)] if expected else [])


def test_an_upload_whose_record_nobody_looked_up_is_left_alone() -> None:
    assert judged(Found(uploads=(UPLOAD,), instances=ALIVE)) == []


@pytest.mark.parametrize(
    ("incident", "collector", "copy", "snapshot"),
    [
        pytest.param(CONCLUDED, "terminate-collector", "delete-copy", "delete-snapshot", id="captured"),
        pytest.param(
            replace(CONCLUDED, verdict="rescued"), "terminate-collector", "delete-copy", "delete-snapshot", id="rescued"
        ),
        pytest.param(FAILED, "terminate-collector", "report", "delete-snapshot", id="failed, dump volume there"),
        pytest.param(replace(FAILED, state="interrupted", verdict=""), "report", "report", "report", id="no end"),
        pytest.param(None, "report", "report", "report", id="no record"),
        pytest.param(replace(CONCLUDED, is_running=True), None, None, None, id="at work"),
    ],
)
def test_what_a_rescue_made_goes_when_its_incident_is_over_and_the_dump_is_elsewhere(
    incident: IncidentFacts | None, collector: str | None, copy: str | None, snapshot: str | None
) -> None:
    found = Found(
        volumes=(replace(VOLUME, is_attached=True), COPY),
        snapshots=(SNAPSHOT,),
        short_lived=(COLLECTOR,),
        instances=ALIVE,
        incidents=of(incident),
    )
    told = dict(judged(replace(found)))
    told.pop("incident-without-end", None)
    expected = {"rescue-collector": collector, "rescue-volume": copy, "rescue-snapshot": snapshot}
    assert told == {kind: action for kind, action in expected.items() if action}


def test_a_snapshot_is_kept_when_neither_the_volume_nor_the_vmcore_is_left() -> None:
    assert judged(Found(snapshots=(SNAPSHOT,), incidents=of(FAILED))) == [("rescue-snapshot", "report")]


@pytest.mark.parametrize(
    "found",
    [
        Found(short_lived=(COLLECTOR,), incidents=of(CONCLUDED), running=frozenset({RESCUE})),
        Found(short_lived=(replace(COLLECTOR, launched_at=YOUNG),), incidents=of(CONCLUDED)),
    ],
    ids=["rescue at work", "just launched"],
)
def test_what_a_rescue_still_needs_is_left_alone(found: Found) -> None:
    assert judged(found) == []


@pytest.mark.parametrize(
    "incident",
    [
        pytest.param(replace(CONCLUDED, instance_id="i-0fedcba9876543210"), id="of-another-instance"),
        pytest.param(
            replace(CONCLUDED, timeline=opened(RESCUE_OPENED, OLD + timedelta(hours=1))), id="younger-than-what-it-made"
        ),
        pytest.param(
            replace(CONCLUDED, timeline=opened(RESCUE_OPENED, OLD - timedelta(days=2))), id="rescued-long-before"
        ),
        pytest.param(replace(CONCLUDED, timeline=()), id="never-rescued"),
        pytest.param(replace(CONCLUDED, execution_name="rescue-2"), id="rescued-by-another-execution"),
        pytest.param(replace(CONCLUDED, execution_name=""), id="no-execution"),
    ],
)
def test_what_the_incident_it_is_tagged_with_cannot_have_made_is_only_reported(incident: IncidentFacts) -> None:
    found = Found(volumes=(COPY,), snapshots=(SNAPSHOT,), short_lived=(COLLECTOR,), incidents=of(incident))
    assert {action for _, action in judged(found)} == {"report"}


ANALYSIS = "analysis-1"
# The rescue, or the collection, is the last execution that worked on the incident itself.
ANALYSED = replace(CONCLUDED, timeline=(*RESCUED, *opened(ANALYSIS_OPENED, OLD, ANALYSIS)))
TWIN = replace(COLLECTOR, maker=ANALYSIS)


def test_the_twin_of_an_analysis_goes_when_no_execution_runs() -> None:
    assert judged(Found(short_lived=(TWIN,), incidents=of(ANALYSED))) == [("analysis-twin", "terminate-collector")]
    assert judged(Found(short_lived=(TWIN,), incidents=of(ANALYSED), running=frozenset({ANALYSIS}))) == []


@pytest.mark.parametrize(
    "timeline",
    [
        pytest.param(RESCUED, id="never-analysed"),
        pytest.param(opened(ANALYSIS_OPENED, OLD, "analysis-2"), id="by-another-analysis"),
        pytest.param(opened(ANALYSIS_OPENED, OLD + timedelta(hours=1), ANALYSIS), id="after-it-was-launched"),
        pytest.param(opened(ANALYSIS_OPENED, OLD - timedelta(days=2), ANALYSIS), id="long-before"),
    ],
)
def test_a_twin_that_the_record_does_not_confirm_is_only_reported(timeline: Any) -> None:
    found = Found(short_lived=(TWIN,), incidents=of(replace(CONCLUDED, timeline=timeline)))
    assert {action for _, action in judged(found)} == {"report"}


def test_the_twin_of_an_incident_that_was_left_without_an_end_goes_too() -> None:
    unfinished = replace(ANALYSED, state="interrupted", verdict="")
    assert ("analysis-twin", "terminate-collector") in judged(Found(short_lived=(TWIN,), incidents=of(unfinished)))


def test_an_instance_that_only_carries_the_tags_of_a_launch_is_reported() -> None:
    """Whoever may tag can give every tag, but not the token of another launch."""
    tagged = replace(TWIN, is_of_its_maker=False)
    assert judged(Found(short_lived=(tagged,), incidents=of(ANALYSED))) == [("analysis-twin", "report")]


def test_snapshots_and_volumes_that_carry_the_tags_of_an_analysis_are_reported() -> None:
    """An analysis makes none: they are somebody else's."""
    found = Found(
        volumes=(replace(COPY, maker=ANALYSIS),), snapshots=(replace(SNAPSHOT, maker=ANALYSIS),), incidents=of(ANALYSED)
    )
    assert {action for _, action in judged(found)} == {"report"}


def test_what_another_stack_made_is_only_reported() -> None:
    foreign = replace(COLLECTOR, is_removable=False)
    assert judged(Found(short_lived=(foreign,), incidents=of(CONCLUDED))) == [("rescue-collector", "report")]


def test_a_copy_in_use_is_not_deleted() -> None:
    in_use = replace(COPY, is_attached=True)
    assert judged(Found(volumes=(in_use,), incidents=of(CONCLUDED))) == [("rescue-volume", "report")]


@pytest.mark.parametrize("state", ["opened", "interrupting", "interrupted", "interrupt-uncertain"])
def test_an_incident_without_an_end_is_reported_with_how_to_end_it(state: str) -> None:
    (finding,) = judge(Found(incidents=of(replace(FAILED, state=state))), now=NOW, policy=Policy())
    assert (finding.kind, finding.action) == ("incident-without-end", Action.REPORT)
    assert ("incidentId" in finding.next_step) is (state != "opened")


@pytest.mark.parametrize(
    "incident",
    [
        CONCLUDED,
        replace(FAILED, state="refused"),
        replace(FAILED, state="dry-run"),
        replace(FAILED, state="interrupt-refused"),
        replace(FAILED, state="interrupted", is_running=True),
        replace(FAILED, state="opened", opened_at=YOUNG),
    ],
    ids=["concluded", "refused", "dry-run", "interrupt-refused", "at work", "just opened"],
)
def test_an_incident_that_ended_or_is_under_way_is_not_worth_saying(incident: IncidentFacts) -> None:
    assert judged(Found(incidents=of(incident))) == []


def test_an_instance_that_could_not_dump_loses_its_mark() -> None:
    assert judged(Found(checked=(UNREADY,))) == [("not-ready", "remove-ready-tag")]
    assert judged(Found(checked=(UNREADY,)), unmarks=False) == [("not-ready", "report")]


def test_a_fault_that_may_be_the_sweeps_own_misunderstanding_is_only_reported() -> None:
    no_target = {"dump-target-not-mounted": "nothing is mounted on /var/crash"}
    elsewhere = replace(UNREADY, is_crash_kernel_loaded=True, faults=no_target)
    assert judged(Found(checked=(elsewhere,))) == [("not-ready", "report")]


def test_an_instance_that_is_ready_or_did_not_answer_keeps_its_mark() -> None:
    assert judged(Found(checked=(CHECKED, replace(CHECKED, is_ready=None)))) == []


def test_an_instance_that_systems_manager_does_not_reach_is_reported() -> None:
    lost = replace(CHECKED, is_reachable=False, ping_status="ConnectionLost", is_ready=None)
    assert judged(Found(checked=(lost,))) == [("ready-but-unreachable", "report")]


def test_a_dump_that_nobody_fetched_is_reported_and_collected_when_that_is_wanted() -> None:
    assert judged(Found(checked=(DUMP,))) == [("uncollected-dump", "report")]
    assert judged(Found(checked=(DUMP,)), collects=True) == [("uncollected-dump", "start-collection")]
    broken = replace(DUMP, is_complete=False)
    assert judged(Found(checked=(broken,)), collects=True) == [("uncollected-incomplete-dump", "report")]


def test_an_instance_that_a_collection_is_at_work_on_is_left_to_it() -> None:
    at_work = replace(FAILED, state="interrupted", is_running=True)
    in_standby = InStandby(instance_id=HOST, incident_id=INCIDENT, auto_scaling_group="shop")
    found = Found(checked=(UNREADY, DUMP), in_standby=(in_standby,), incidents=of(at_work))
    assert judged(found, collects=True) == []


def test_an_instance_that_was_left_in_standby_is_reported_with_the_way_out() -> None:
    in_standby = InStandby(instance_id=HOST, incident_id=INCIDENT, auto_scaling_group="shop")
    (finding,) = judge(Found(in_standby=(in_standby,), incidents=of(FAILED)), now=NOW, policy=Policy())
    assert finding.action is Action.REPORT
    assert f"exit-standby --auto-scaling-group-name shop --instance-ids {HOST}" in finding.next_step


times = st.integers(0, 10 * 24).map(lambda hours: NOW - timedelta(hours=hours))
states = st.sampled_from(["opened", "interrupting", "interrupted", "refused", "concluded"])
verdicts = st.sampled_from(["", "captured", "rescued", "failed", "incomplete", "panic-no-dump"])
incidents = st.builds(
    IncidentFacts,
    incident_id=st.just(INCIDENT),
    instance_id=st.just(HOST),
    state=states,
    verdict=verdicts,
    opened_at=times,
    is_running=st.booleans(),
)


@st.composite
def findings(draw: st.DrawFn) -> tuple[Found, tuple[Finding, ...]]:
    """Anything that a sweep can see, and what it made of it."""
    marks: Any = {"is_removable": draw(st.booleans()), "maker": RESCUE, "incident_id": INCIDENT}
    found = Found(
        volumes=(
            replace(VOLUME, created_at=draw(times), is_attached=draw(st.booleans())),
            replace(COPY, created_at=draw(times), is_attached=draw(st.booleans()), **marks),
        ),
        snapshots=(replace(SNAPSHOT, created_at=draw(times), **marks),),
        short_lived=(replace(COLLECTOR, launched_at=draw(times), **marks),),
        uploads=(replace(UPLOAD, initiated_at=draw(times)),),
        alarms=(replace(ALARM, updated_at=draw(times)),),
        instances=draw(st.sampled_from([{}, {HOST: GONE}, {HOST: "terminated"}, ALIVE, {HOST: "stopped"}])),
        incidents=draw(st.one_of(st.just({}), incidents.map(of), st.just(of(None)))),
        running=draw(st.sampled_from([frozenset(), frozenset({RESCUE})])),
    )
    return found, judge(found, now=NOW, policy=Policy())


@given(findings())
def test_whatever_is_found_nothing_is_removed_that_is_not_provably_empty(
    seen: tuple[Found, tuple[Finding, ...]],
) -> None:
    found, told = seen
    incident = found.incidents.get(INCIDENT)
    for finding in told:
        assert finding.subject != VOLUME.volume_id or finding.action is Action.REPORT, "a dump volume is never removed"
        if finding.action in (Action.TERMINATE, Action.DELETE_COPY, Action.DELETE_SNAPSHOT):
            assert incident is not None
            assert incident.state == "concluded"
            assert not incident.is_running
            assert RESCUE not in found.running
            assert found.short_lived[0].is_removable
        if finding.action is Action.DELETE_COPY:
            assert incident is not None
            assert incident.verdict in ("captured", "rescued")
        if finding.action is Action.ABORT_UPLOAD:
            assert incident is not None
            assert not incident.is_running
            assert incident.verdict in ("captured", "rescued") or found.instances.get(HOST) in ("running", "stopped")
        if finding.action is Action.DELETE_ALARM:
            assert found.instances[HOST] in (GONE, "terminated")


@pytest.mark.parametrize(
    ("parked", "recorded", "state", "expected"),
    [
        pytest.param(PARKED, {HOST: "snap-2"}, "running", [], id="in-use"),
        pytest.param(PARKED, {HOST: "snap-2"}, GONE, [("parked-without-instance", "delete-parked-volume")], id="gone"),
        pytest.param(PARKED, {HOST: "snap-9"}, GONE, [("parked-without-instance", "report")], id="gone-another-named"),
        pytest.param(
            replace(PARKED, is_of_stack=False),
            {HOST: "snap-2"},
            GONE,
            [("parked-without-instance", "report")],
            id="gone-without-the-tag-of-the-stack",
        ),
        pytest.param(PARKED, {HOST: "snap-9"}, "running", [("unused-snapshot", "report")], id="another-named"),
        pytest.param(PARKED, {HOST: ""}, "running", [("unused-snapshot", "report")], id="no-record"),
        pytest.param(PARKED, {}, GONE, [], id="record-not-read"),
        pytest.param(replace(PARKED, created_at=YOUNG), {HOST: ""}, "running", [], id="being-parked"),
    ],
)
def test_a_parked_volume_is_removed_only_if_our_record_names_it_and_its_instance_is_gone(
    parked: ParkedSnapshot, recorded: dict[str, str], state: str, expected: list[tuple[str, str]]
) -> None:
    assert judged(Found(parked_snapshots=(parked,), parked=recorded, instances={HOST: state})) == expected


@pytest.mark.parametrize(
    ("fleet", "policy", "expected"),
    [
        pytest.param({HOST: True}, {}, [("parked-volume-gone", "remove-ready-tag")], id="tagged-ready"),
        pytest.param({HOST: True}, {"unmarks": False}, [("parked-volume-gone", "report")], id="may-not-unmark"),
        pytest.param({HOST: False}, {}, [], id="not-tagged-ready"),
        pytest.param(None, {}, [], id="fleet-not-read"),
    ],
)
def test_an_instance_whose_parked_volume_is_gone_is_not_ready(
    fleet: dict[str, bool] | None, policy: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    found = Found(fleet=fleet, parked={HOST: "snap-2"}, unparked=frozenset({HOST}), instances=ALIVE)
    assert judged(found, **policy) == expected


def test_a_volume_that_was_not_parked_again_is_told_of() -> None:
    left = replace(VOLUME, is_attached=True)
    found = Found(volumes=(left,), parked={HOST: "snap-2"}, instances=ALIVE)
    assert judged(found) == [("unparked-volume", "report")]
    assert judged(replace(found, parked={HOST: ""})) == []
    assert judged(replace(found, volumes=(replace(left, created_at=YOUNG),))) == []
