"""Which orphaned dump volumes a sweep has read by a rescue, and what it says of the others."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lambdas.sweep.case import Finding, Policy
from lambdas.sweep.found import GONE, Found, IncidentFacts, Orphan, Volume
from lambdas.sweep.judge import judge
from tests.lambdas.account import NOW
from tests.lambdas.sweep.test_sweep_judge import CONCLUDED, HOST, INCIDENT, OLD, VOLUME, YOUNG

FREE = replace(VOLUME, is_available=True, is_of_stack=True)
MEMBER = Orphan(group="web", has_opted_out=False)
READ = replace(CONCLUDED, verdict="failed", reason="No collector was launched.")
TRIED = replace(MEMBER, attempts=1, tried_at=NOW - timedelta(hours=30), incident_id=INCIDENT)
POLICY = Policy(orphan_rescues=2)


def found(
    volume: Volume = FREE, orphan: Orphan | None = MEMBER, incident: IncidentFacts | None = None, **more: Any
) -> Found:
    """One orphaned volume of a member that is gone."""
    known: dict[str, Any] = {
        "volumes": (volume,),
        "instances": {HOST: GONE},
        "orphans": {volume.volume_id: orphan},
        "are_incidents_known": True,
        "incidents": {INCIDENT: incident} if incident else {},
    }
    return Found(**(known | more))


def judged(case: Found, policy: Policy = POLICY) -> list[Finding]:
    return list(judge(case, now=NOW, policy=policy))


@pytest.mark.parametrize(
    ("case", "attempt"),
    [
        pytest.param(found(), 1, id="never read"),
        pytest.param(found(instances={HOST: "terminated"}), 1, id="EC2 still shows it"),
        pytest.param(found(orphan=TRIED, incident=READ), 2, id="failed a day ago"),
        pytest.param(
            found(orphan=replace(TRIED, attempts=2, tried_at=NOW - timedelta(hours=49)), incident=READ),
            3,
            id="failed twice, the last time two days ago",
        ),
        pytest.param(found(orphan=TRIED, incident=replace(READ, state="opened", verdict="")), 2, id="was stopped"),
        pytest.param(found(orphan=replace(TRIED, incident_id="")), 2, id="its rescue never began"),
        pytest.param(found(orphan=MEMBER, incident=CONCLUDED), 1, id="whose incident is concluded"),
    ],
)
def test_has_the_volume_of_a_gone_member_read(case: Found, attempt: int) -> None:
    read = [each for each in judged(case) if each.kind == "orphan-to-read"]

    assert [(each.action.value, each.attempt, each.group, each.is_quiet) for each in read] == [
        ("start-rescue", attempt, "web", True)
    ]


OPEN = replace(CONCLUDED, state="interrupted", verdict="")


@pytest.mark.parametrize(
    ("case", "why"),
    [
        pytest.param(found(orphan=None), "only vmcore", id="not recorded"),
        pytest.param(found(orphans={}), "only vmcore", id="record not read"),
        pytest.param(found(orphan=replace(MEMBER, group="")), "only vmcore", id="of a pet"),
        pytest.param(found(replace(FREE, is_of_stack=False)), "tag of this stack", id="not of this stack"),
        pytest.param(found(replace(FREE, is_retained=True)), "tagged Retain", id="to be kept"),
        pytest.param(found(replace(FREE, is_available=False)), "attached", id="in use"),
        pytest.param(found(orphan=replace(MEMBER, has_opted_out=True)), "opted out", id="opted out"),
        pytest.param(found(are_incidents_known=False), "could not be read", id="incidents not read"),
        pytest.param(found(incident=OPEN), INCIDENT, id="incident without a verdict"),
        pytest.param(found(orphan=replace(TRIED, tried_at=YOUNG), incident=READ), "tried again", id="just failed"),
        pytest.param(
            found(orphan=replace(TRIED, attempts=2), incident=READ), "No collector", id="failed again a day ago"
        ),
        pytest.param(found(orphan=replace(TRIED, attempts=3, tried_at=OLD), incident=READ), "3 rescues", id="given up"),
        pytest.param(
            found(orphan=TRIED, incident=replace(READ, verdict="rescued", reason="notes.txt is on it.")),
            "notes.txt",
            id="read, and something is on it",
        ),
    ],
)
def test_reports_why_a_volume_stays_unread(case: Found, why: str) -> None:
    (kept,) = [each for each in judged(case) if each.kind == "orphaned-volume"]

    assert (kept.action.value, kept.is_quiet) == ("report", False)
    assert why in kept.detail


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(found(replace(FREE, created_at=YOUNG)), id="just created"),
        pytest.param(found(instances={HOST: "running"}), id="of a running instance"),
        pytest.param(found(instances={HOST: "shutting-down"}), id="of an instance that is just ending"),
        pytest.param(found(instances={}), id="of an instance that was not looked up"),
    ],
)
def test_reads_nothing_of_an_instance_that_may_exist(case: Found) -> None:
    assert {each.kind for each in judged(case)} <= {"unused-volume"}


def test_reads_the_oldest_first_and_counts_those_that_are_being_read() -> None:
    ages = {f"vol-{days}": NOW - timedelta(days=days) for days in range(1, 6)}
    volumes = tuple(replace(FREE, volume_id=name, instance_id=f"i-{name}", created_at=at) for name, at in ages.items())
    running = replace(CONCLUDED, instance_id="i-vol-3", is_running=True)
    case = found(
        volumes=volumes,
        instances={each.instance_id: GONE for each in volumes},
        orphans=dict.fromkeys(ages, MEMBER),
        incidents={INCIDENT: running},
    )

    kinds = {each.subject: each.kind for each in judged(case)}

    assert kinds == {
        "vol-1": "orphan-waiting",
        "vol-2": "orphan-waiting",
        "vol-3": "orphan-being-read",
        "vol-4": "orphan-waiting",
        "vol-5": "orphan-to-read",
    }


def test_reads_none_of_several_volumes_of_an_instance() -> None:
    other = replace(FREE, volume_id="vol-9")
    case = found(volumes=(FREE, other), orphans={FREE.volume_id: MEMBER, "vol-9": None})

    assert {each.kind for each in judged(case)} == {"orphaned-volume"}


def test_only_reports_when_the_settings_say_so() -> None:
    (kept,) = judged(found(), Policy(orphan_rescues=0))

    assert (kept.kind, kept.action.value, kept.is_quiet) == ("orphaned-volume", "report", False)


def test_lists_the_volumes_that_were_deleted_since_the_last_sweep() -> None:
    gone = replace(CONCLUDED, reason="It is empty.", removed_volume_id="vol-1", removed_at=NOW - timedelta(hours=3))
    before = replace(gone, incident_id="before", removed_at=NOW - timedelta(hours=30))

    listed = judged(Found(incidents={INCIDENT: gone, "before": before}))

    assert [(each.kind, each.subject, each.incident_id, each.is_quiet) for each in listed] == [
        ("orphan-removed", "vol-1", INCIDENT, True)
    ]
