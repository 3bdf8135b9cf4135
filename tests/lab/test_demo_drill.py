"""How the demo of a drill follows it: by the states of its state machines."""

from datetime import UTC, datetime

import pytest

from lab.aws.event_log import Event
from lab.demo.drill_story import has_come


def event(source: str, subject: str, text: str) -> Event:
    return Event(datetime(2026, 11, 23, tzinfo=UTC), source, subject, text)


@pytest.mark.parametrize(
    ("seen", "is_there"),
    [
        pytest.param(event("stepfunctions", "DrillDump", "Hang the twin"), True, id="the state"),
        pytest.param(event("stepfunctions", "DrillDump", "Hang the twin (wait)"), False, id="a part of its loop"),
        pytest.param(event("lambda", "DrillDump", "Hang the twin"), False, id="of something else"),
    ],
)
def test_an_act_ends_with_the_state_that_begins_the_next(seen: Event, is_there: bool) -> None:
    assert has_come([seen], "DrillDump Hang the twin") is is_there
