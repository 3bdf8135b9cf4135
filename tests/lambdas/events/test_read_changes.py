"""Which events a change of a record stands for."""

from typing import Any

import pytest

from lambdas.events.read_changes import read_changes
from lambdas.events.schema import Detail, IncidentConcluded, InterruptSent

INCIDENT = "20261130T084512Z-i-0123456789abcdef0"
OPENED: dict[str, Any] = {
    "pk": f"incident#{INCIDENT}",
    "incidentId": INCIDENT,
    "instanceId": "i-0123456789abcdef0",
    "accountId": "123456789012",
    "region": "eu-central-1",
    "origin": "alarm",
    "state": "interrupting",
    "openedAt": "2026-11-30T08:45:12+00:00",
    "reason": "instance-check-fails",
    "detail": "The instance check has failed for 120 s.",
    "timeline": [{"at": "2026-11-30T08:45:10+00:00", "event": "alarm"}],
}


def after(before: dict[str, Any], *events: str, **fields: Any) -> dict[str, Any]:
    """The record after an update that appends to its timeline."""
    new = [{"at": "2026-11-30T09:00:00+00:00", "event": each} for each in events]
    return before | fields | {"timeline": [*before["timeline"], *new]}


def events(before: dict[str, Any] | None, new: dict[str, Any]) -> list[Detail]:
    return read_changes(before, new, bucket="vmcores")


def names(before: dict[str, Any] | None, new: dict[str, Any]) -> list[str]:
    return [each.type.value for each in events(before, new)]


SENT = after(OPENED, "interrupt-sent", state="interrupted")
VERIFIED = after(SENT, "verified")
CONCLUDED = after(VERIFIED, "concluded", verdict="captured", concludedBy="e1", concludedAt="2026-11-30T09:01:00+00:00")


@pytest.mark.parametrize(
    ("before", "new", "told"),
    [
        pytest.param(None, OPENED, ["Incident Opened"], id="a new record"),
        pytest.param(OPENED, after(OPENED, "entering-standby"), [], id="an entry that is no state"),
        pytest.param(OPENED, SENT, ["Interrupt Sent"], id="the interrupt"),
        pytest.param(SENT, after(SENT, "interrupt-uncertain"), [], id="the interrupt noted again"),
        pytest.param(
            OPENED, after(OPENED, "interrupt-refused", verdict="refused"), ["Incident Concluded"], id="refused"
        ),
        pytest.param(SENT, VERIFIED, ["Dump Saved"], id="the proof of the vmcore"),
        pytest.param(VERIFIED, after(VERIFIED, "verified"), [], id="the proof repeated"),
        pytest.param(VERIFIED, CONCLUDED, ["Incident Concluded"], id="the verdict"),
        pytest.param(CONCLUDED, CONCLUDED | {"concludedAt": "later"}, [], id="the same execution concludes again"),
        pytest.param(CONCLUDED, CONCLUDED | {"notifiedBy": "e1"}, [], id="its notification"),
        pytest.param(CONCLUDED, CONCLUDED | {"notifiedBy": "e2"}, ["Incident Concluded"], id="another changes nothing"),
        pytest.param(
            CONCLUDED, CONCLUDED | {"concludedBy": "e2", "verdict": "rescued"}, ["Incident Concluded"], id="a rescue"
        ),
        pytest.param(
            None,
            OPENED | {"verdict": "refused", "state": "refused"},
            ["Incident Opened", "Incident Concluded"],
            id="a refusal that is recorded as such",
        ),
        pytest.param(
            None,
            {"pk": "incident#bad-input", "incidentId": "bad-input", "verdict": "failed", "concludedBy": "bad-input"},
            ["Incident Opened", "Incident Concluded"],
            id="what Step Functions records alone",
        ),
        pytest.param(
            None,
            {"pk": f"incident#{INCIDENT}", "lastPhase": "rescue"},
            ["Incident Opened"],
            id="what is noted before anybody opened it",
        ),
    ],
)
def test_a_change_tells_each_new_state_once(
    before: dict[str, Any] | None, new: dict[str, Any], told: list[str]
) -> None:
    assert names(before, new) == told


def test_a_change_that_comes_twice_has_the_same_ids_and_no_two_states_share_one() -> None:
    steps = [(None, OPENED), (OPENED, SENT), (SENT, VERIFIED), (VERIFIED, CONCLUDED)]
    first = [each.event_id for before, new in steps for each in events(before, new)]
    again = [each.event_id for before, new in steps for each in events(before, new)]
    assert first == again
    assert len(set(first)) == 4


def test_a_manual_refusal_is_concluded_by_its_execution_only() -> None:
    manual = OPENED | {"origin": "manual"}
    refused = after(manual, "interrupt-refused", verdict="refused")
    assert names(manual, refused) == []
    assert names(refused, refused | {"concludedBy": "e1"}) == ["Incident Concluded"]


def test_an_uncertain_interrupt_says_so() -> None:
    (told,) = events(OPENED, after(OPENED, "interrupt-uncertain"))
    assert isinstance(told, InterruptSent)
    assert not told.is_certain
    assert "may have been interrupted" in told.chat.content.title


def test_words_of_a_kernel_stay_words_in_a_chat() -> None:
    hostile = "<!channel> <http://evil|see> [report](http://evil) " + "\u202e" + "x" * 10_000
    (told,) = events(VERIFIED, CONCLUDED | {"sentence": hostile, "panicLine": hostile})
    assert isinstance(told, IncidentConcluded)
    shown = told.chat.content.title + told.chat.content.description
    assert not set("<>[]\u202e") & set(shown)
    assert len(told.chat.content.title) <= 250
    assert len(told.model_dump_json(by_alias=True)) < 64 * 1024


def test_a_refusal_says_what_to_do() -> None:
    (told,) = events(OPENED, after(OPENED, "interrupt-refused", verdict="refused", reason="kill-switch-off"))
    assert "set the parameter to on" in told.chat.content.next_steps[0]
