"""How a rescue ends, in words."""

from dataclasses import replace
from typing import Any

import pytest

from lambdas.conclude.rescue_verdict import RescueEnding, decide_rescue
from lambdas.handlers import conclude_incident
from lambdas.incident.record import Verdict
from lambdas.incident.table import create_incident
from tests.lambdas import account as aws
from tests.lambdas.account import Account, read_record
from tests.lambdas.endings import ID, INCIDENT, INTERRUPTED, OPENED, SAYS, VERIFIED

VOLUME = "vol-0123456789abcdef0"
RESCUED = RescueEnding(volume_id=VOLUME, because="It is off.", is_verified=True, is_opened=True, is_crash_expected=True)
LOST = replace(RESCUED, is_verified=False, is_opened=False)
EMPTY = replace(LOST, error="VmcoreNotFound", is_volume_empty=True, is_crash_expected=False)


@pytest.mark.parametrize(
    ("ending", "verdict", "said"),
    [
        pytest.param(
            RESCUED, "rescued", ["It is off.", f"copy of its dump volume {VOLUME}", "not touched"], id="verified"
        ),
        pytest.param(replace(RESCUED, left=("i-1", "snap-1")), "rescued", ["could not remove i-1, snap-1"], id="left"),
        pytest.param(
            replace(RESCUED, is_opened=False, error="VmcoreUnreadable", cause="No dump."),
            "incomplete",
            ["complete and identical", "does not open as a dump. No dump.", "not touched"],
            id="unreadable",
        ),
        pytest.param(
            replace(RESCUED, is_opened=False, error="States.Timeout"),
            "failed",
            ["Could not check whether it opens"],
            id="unopened",
        ),
        pytest.param(
            replace(LOST, error="CollectorSilent", cause="Nothing was heard."),
            "failed",
            [
                "Nothing was heard.",
                "The data on its dump volume",
                f'start RescueVmcore with {{"incidentId": "{INCIDENT}"}}',
            ],
            id="error",
        ),
        pytest.param(
            replace(LOST, error="VmcoreNotFound", saw_crash_kernel=True),
            "panic-no-dump",
            [f"its dump volume {VOLUME} holds no vmcore"],
            id="the crash kernel wrote nothing",
        ),
        pytest.param(replace(LOST, error="VmcoreNotFound"), "failed", ["VmcoreNotFound"], id="no crash was seen"),
        pytest.param(
            replace(LOST, error="VmcoreNotFound", is_volume_empty=True), "failed", ["VmcoreNotFound"], id="crash unseen"
        ),
        pytest.param(EMPTY, "no-panic", [f"its dump volume {VOLUME} is empty."], id="empty"),
        pytest.param(
            replace(EMPTY, is_volume_deleted=True), "no-panic", [f"{VOLUME} was deleted"], id="empty and deleted"
        ),
        pytest.param(
            replace(EMPTY, is_volume_deleted=False, why_kept="it is in-use"),
            "no-panic",
            [f"{VOLUME} was not touched: it is in-use."],
            id="empty and kept",
        ),
        pytest.param(
            replace(EMPTY, is_volume_empty=False), "failed", ["VmcoreNotFound"], id="not empty, but without a vmcore"
        ),
        pytest.param(
            replace(RESCUED, is_volume_deleted=True), "rescued", ["opens", f"{VOLUME} was deleted"], id="deleted"
        ),
        pytest.param(replace(LOST, error="InstanceNotEnrolled"), "refused", ["InstanceNotEnrolled"], id="opted out"),
        pytest.param(
            replace(LOST, found_status="incomplete"),
            "incomplete",
            ["stays on its dump volume", "no log beside it"],
            id="incomplete",
        ),
        pytest.param(
            RescueEnding(), "failed", ["was not collected from", "before it had any result"], id="nothing known"
        ),
    ],
)
def test_says_how_it_ended_and_that_the_volume_was_not_touched(
    ending: RescueEnding, verdict: str, said: list[str]
) -> None:
    decided, reason = decide_rescue(ending, instance_id=ID, incident_id=INCIDENT)
    assert decided == verdict
    assert [part for part in said if part not in reason] == []


def _conclude(context: Any, **facts: Any) -> dict[str, Any]:
    return conclude_incident.handler({"incident": OPENED, **facts}, context)


def _rescue(context: Any) -> dict[str, Any]:
    given = {"incidentId": INCIDENT, "reason": "It is off."}
    facts = {
        "rescue": {"volumeId": VOLUME},
        "found": {"status": "complete"},
        "verified": VERIFIED,
        "opened": SAYS,
    }
    return _conclude(context, executionName="rescue-1", input=given, removed={"left": []}, **facts)


@pytest.fixture
def incident(account: Account) -> None:
    """Interrupted, and waiting."""
    create_incident(aws.TABLE, INTERRUPTED)


@pytest.mark.usefixtures("incident")
def test_a_rescue_is_recorded_with_its_vmcore(context: Any) -> None:
    concluded = _rescue(context)

    assert concluded["verdict"] == "rescued"
    assert concluded["keys"]["vmcore"] == VERIFIED["key"]
    assert read_record(INCIDENT).verdict == Verdict.RESCUED


@pytest.mark.usefixtures("incident")
def test_the_collection_that_waited_repeats_the_verdict_and_tells_nobody(account: Account, context: Any) -> None:
    rescued = _rescue(context)
    told, before = len(account.messages), read_record(INCIDENT)

    facts = {"rescueEnd": {"name": "rescue-1", "status": "SUCCEEDED"}, "error": {"Error": "RescueUnfinished"}}
    again = _conclude(context, executionName="collection", **facts)

    assert again == rescued
    assert len(account.messages) == told
    assert read_record(INCIDENT) == before


@pytest.mark.usefixtures("incident")
def test_the_collection_concludes_itself_when_its_rescue_ended_without_a_verdict(context: Any) -> None:
    error = {"Error": "RescueUnfinished", "Cause": "RescueVmcore rescue-1 ended as ABORTED."}
    facts = {"rescueEnd": {"name": "rescue-1", "status": "ABORTED"}, "error": error}

    concluded = _conclude(context, executionName="collection", **facts)

    assert concluded["verdict"] == "failed"
    assert "ended as ABORTED" in concluded["reason"]


@pytest.mark.usefixtures("incident")
def test_a_later_failure_does_not_talk_a_rescue_away(context: Any) -> None:
    _rescue(context)

    _conclude(context, executionName="later", error={"Error": "VmcoreNotFound", "Cause": "none"})

    assert read_record(INCIDENT).verdict == Verdict.RESCUED
