"""The incident as a picture: which phases it had, and where each stands on the width of the page. Pure.

Every phase is a bar from the end of the one before it. One that is far longer than all others together, such as the
upload of hours, is drawn cut, as an axis is broken: else the rest would be a line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lambdas.report.facts import Facts
from lambdas.report.text import clock, day_and_clock, duration

# The event that ends a phase, and what the phase is called. In the order of the story; other events are in the log.
_PHASES = {
    "alarm": "The alarm fires",
    "requested": "Somebody asks for it",
    "decided": "Evidence and decision",
    "interrupt-sent": "Interrupt sent",
    "interrupt-uncertain": "Interrupt perhaps sent",
    "interrupt-refused": "Interrupt refused by EC2",
    "crash-kernel": "Panic; the crash kernel starts",
    "dumping": "The crash kernel boots",
    "saved": "The vmcore is written",
    "online": "The instance boots again",
    "upload-started": "The vmcore is found",
    "verified": "Upload and verification",
    "concluded": "Removal and report",
}
_INTERRUPTS = ("interrupt-sent", "interrupt-uncertain")
# A phase with more than this share of the time is cut down to it.
_LONGEST_SHARE = 0.6


@dataclass(frozen=True)
class Event:
    """One line of the log."""

    at: datetime
    name: str
    detail: str


@dataclass(frozen=True)
class Phase:
    """One row of the picture; left and width in percent of its width."""

    name: str
    event: str
    clock: str
    took: str
    left: float
    width: float
    is_cut: bool = False
    is_away: bool = False

    @property
    def end(self) -> float:
        """Where the bar ends: the moment that `event` came."""
        return round(self.left + self.width, 3)

    @property
    def middle(self) -> float:
        """Where a cut is drawn."""
        return round(self.left + self.width / 2, 3)


@dataclass(frozen=True)
class Timeline:
    """`interrupt_at` in percent, None when none was sent; `events` is everything that was noted, oldest first."""

    phases: tuple[Phase, ...] = ()
    events: tuple[Event, ...] = ()
    interrupt_at: float | None = None
    began: str = ""
    ended: str = ""
    took: str = ""

    @property
    def cut(self) -> Phase | None:
        """The phase that is drawn shorter than it was."""
        return next((phase for phase in self.phases if phase.is_cut), None)


def draw_timeline(incident: Facts) -> Timeline:
    """Of the incident's `timeline`; fewer than two phases make no picture, the events are listed all the same."""
    events = read_events(incident)
    marks = _marks(events)
    if not marks:
        return Timeline(events=tuple(events))
    seconds = [(marks[at].at - marks[at - 1].at).total_seconds() if at else 0.0 for at in range(len(marks))]
    scaled, cut = _scale(seconds)
    whole = sum(scaled) or 1.0
    phases, done, interrupt = [], 0.0, None
    is_away = False
    for at, mark in enumerate(marks):
        left, width = _percent(done / whole), _percent(scaled[at] / whole)
        took = duration(seconds[at]) if at else ""
        phases.append(Phase(_PHASES[mark.name], mark.name, clock(mark.at), took, left, width, at == cut, is_away))
        done += scaled[at]
        if mark.name in _INTERRUPTS:
            interrupt, is_away = _percent(done / whole), True
        is_away = is_away and mark.name != "online"
    return Timeline(
        phases=tuple(phases),
        events=tuple(events),
        interrupt_at=interrupt,
        began=day_and_clock(marks[0].at),
        ended=day_and_clock(marks[-1].at),
        took=duration((marks[-1].at - marks[0].at).total_seconds()),
    )


def read_events(incident: Facts) -> list[Event]:
    """By time; what has no time or no name is left out."""
    read = [
        Event(at, each.text("event"), each.text("detail"))
        for each in incident.parts("timeline")
        if (at := each.time("at"))
    ]
    return sorted((event for event in read if event.name), key=lambda event: event.at)


def _marks(events: Sequence[Event]) -> list[Event]:
    """The end of each phase that there was: its first event, in the order of time and of the story."""
    first: dict[str, Event] = {}
    for event in events:
        if event.name in _PHASES and event.name != "concluded":
            first.setdefault(event.name, event)
    # An execution that was started again concludes again: the last one counts.
    concluded = [event for event in events if event.name == "concluded"][-1:]
    order = list(_PHASES)
    return sorted([*first.values(), *concluded], key=lambda event: (event.at, order.index(event.name)))


def _scale(seconds: Sequence[float]) -> tuple[list[float], int | None]:
    """The lengths to draw, and which of them is cut."""
    whole = sum(seconds)
    longest = max(range(len(seconds)), key=lambda at: seconds[at])
    rest = whole - seconds[longest]
    if len(seconds) < 4 or not rest or seconds[longest] <= whole * 0.8:
        return list(seconds), None
    drawn = rest * _LONGEST_SHARE / (1 - _LONGEST_SHARE)
    return [drawn if at == longest else each for at, each in enumerate(seconds)], longest


def _percent(share: float) -> float:
    return round(min(1.0, max(0.0, share)) * 100, 3)
