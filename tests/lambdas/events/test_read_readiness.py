"""Which event a change of a row of the fleet table stands for."""

from typing import Any

import pytest

from lambdas.events.read_readiness import read_readiness
from lambdas.events.schema import ReadinessChanged
from lambdas.fleet.row import FleetRow, Reason, Status

ID = "i-0123456789abcdef0"
NOTE = Reason(code="not-provisioned", severity="note", observed="It was not provisioned yet.")
FAULT = Reason(code="PackageUnavailable", observed="No mirror.", remedy="Give it a mirror.")


def image(status: Status, *reasons: Reason, revision: int = 1, **fields: Any) -> dict[str, Any]:
    row = FleetRow(
        instance_id=ID, status=status, reasons=reasons, revision=revision, since="2026-11-30T08:00", **fields
    )
    return row.as_item()


NEW, READY, FAILED = image(Status.NOT_READY, NOTE), image(Status.READY), image(Status.FAILED, FAULT)


def told(before: dict[str, Any] | None, after: dict[str, Any]) -> ReadinessChanged | None:
    events = read_readiness(before, after)
    if not events:
        return None
    (event,) = events
    assert isinstance(event, ReadinessChanged)
    return event


@pytest.mark.parametrize(
    ("before", "after", "is_told"),
    [
        pytest.param(None, NEW, False, id="a new row of an instance that nobody has tried"),
        pytest.param(None, image(Status.NOT_READY, FAULT), True, id="a new row that needs somebody"),
        pytest.param(None, READY, True, id="an instance of before the table"),
        pytest.param(NEW, NEW | {"triedAt": "2026-11-30T08:01"}, False, id="an attempt is planned"),
        pytest.param(NEW, READY, True, id="it became ready"),
        pytest.param(READY, image(Status.DRIFTED, NOTE), True, id="it drifted"),
        pytest.param(NEW, image(Status.NOT_READY, FAULT), True, id="the same status, but now it needs somebody"),
        pytest.param(FAILED, FAILED | {"attempts": 2}, False, id="it failed again"),
    ],
)
def test_another_status_or_the_need_of_somebody_is_told(
    before: dict[str, Any] | None, after: dict[str, Any], *, is_told: bool
) -> None:
    assert (told(before, after) is not None) == is_told


def test_the_event_says_what_the_row_says() -> None:
    event = told(READY, image(Status.FAILED, FAULT, NOTE, kernel="6.1.0", tried_at="2026-11-30T09:00"))
    assert event is not None
    assert (event.status, event.previous_status, event.needs_action) == ("failed", "ready", True)
    assert (event.at, event.kernel, event.reasons[0].remedy) == ("2026-11-30T09:00", "6.1.0", "Give it a mirror.")
    assert event.chat.content.title == f"{ID} is failed: No mirror."
    assert event.chat.content.next_steps == ["Give it a mirror."]


def test_two_changes_have_two_ids_and_a_repeated_one_the_same() -> None:
    changes = [(NEW, image(Status.READY, revision=2)), (READY, image(Status.FAILED, FAULT, revision=3))]
    ids = [event.event_id for _ in range(2) for before, after in changes if (event := told(before, after))]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2


def test_words_of_an_instance_stay_words_in_a_chat() -> None:
    hostile = Reason(code="x", observed="<!channel> [see](http://evil)", remedy="<http://evil|click>")
    event = told(READY, image(Status.FAILED, hostile, hostile))
    assert event is not None
    content = event.chat.content
    assert not set("<>[]") & set(content.title + content.description + "".join(content.next_steps))
