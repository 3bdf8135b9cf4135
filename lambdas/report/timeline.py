"""The incident's phases as a picture with positions in percent of its width. Pure.

Every phase is a bar that begins where the previous one ends. A phase far longer than all others together, such as an
upload of hours, is drawn shortened with a break; otherwise the others would be too thin to see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lambdas.report.facts import Facts
from lambdas.report.text import clock, day_and_clock
from lambdas.runtime.moment import duration

# The event that ends a phase, and the phase's name, in the order of an incident. Other events are only listed.
_PHASES = {
    "alarm": "The alarm fires",
    "requested": "A person requests it",
    "decided": "Evidence and decision",
    "interrupt-sent": "Interrupt sent",
    "interrupt-uncertain": "Interrupt perhaps sent",
    "interrupt-refused": "Interrupt refused",
    "crash-kernel": "Panic; the crash kernel starts",
    "dumping": "The crash kernel boots",
    "saved": "The vmcore is written",
    "online": "The instance boots again",
    "upload-started": "The vmcore is found",
    "verified": "Upload and verification",
    "concluded": "Removal and report",
}
_INTERRUPTS = ("interrupt-sent", "interrupt-uncertain")
# A shortened phase gets this share of the width.
_LONGEST_SHARE = 0.6


@dataclass(frozen=True)
class Event:
    """One entry of the incident's timeline."""

    at: datetime
    name: str
    detail: str


@dataclass(frozen=True)
class Phase:
    """One row of the picture; left and width in percent. is_away: the instance was down."""

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
        """The end of the bar: the moment of `event`."""
        return round(self.left + self.width, 3)

    @property
    def middle(self) -> float:
        """The place of the break."""
        return round(self.left + self.width / 2, 3)


@dataclass(frozen=True)
class Timeline:
    """`interrupt_at` in percent, None without an interrupt; `events` are all entries, oldest first."""

    phases: tuple[Phase, ...] = ()
    events: tuple[Event, ...] = ()
    interrupt_at: float | None = None
    began: str = ""
    ended: str = ""
    took: str = ""

    @property
    def cut(self) -> Phase | None:
        """The phase that is drawn shortened."""
        return next((phase for phase in self.phases if phase.is_cut), None)


def draw_timeline(incident: Facts) -> Timeline:
    """Draws the incident's `timeline`. Without phases it lists only the events."""
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
    """The events by time, without those that lack a time or a name."""
    read = [
        Event(at, each.text("event"), each.text("detail"))
        for each in incident.parts("timeline")
        if (at := each.time("at"))
    ]
    return sorted((event for event in read if event.name), key=lambda event: event.at)


def _marks(events: Sequence[Event]) -> list[Event]:
    """The end of each phase: its first event, ordered by time and then by the order of an incident."""
    first: dict[str, Event] = {}
    for event in events:
        if event.name in _PHASES and event.name != "concluded":
            first.setdefault(event.name, event)
    # A second execution concludes the incident again: the last conclusion counts.
    concluded = [event for event in events if event.name == "concluded"][-1:]
    order = list(_PHASES)
    return sorted([*first.values(), *concluded], key=lambda event: (event.at, order.index(event.name)))


def _scale(seconds: Sequence[float]) -> tuple[list[float], int | None]:
    """The lengths to draw, and the index of the shortened one."""
    whole = sum(seconds)
    longest = max(range(len(seconds)), key=lambda at: seconds[at])
    rest = whole - seconds[longest]
    if len(seconds) < 4 or not rest or seconds[longest] <= whole * 0.8:
        return list(seconds), None
    drawn = rest * _LONGEST_SHARE / (1 - _LONGEST_SHARE)
    return [drawn if at == longest else each for at, each in enumerate(seconds)], longest


def _percent(share: float) -> float:
    return round(min(1.0, max(0.0, share)) * 100, 3)
