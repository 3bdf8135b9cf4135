"""Hours of the week, of a setting: `daily 02:00-02:30`, `sat,sun 22:00-04:00`, in UTC. Is one of them now?"""

import re
from dataclasses import dataclass
from datetime import datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES_A_DAY = 24 * 60

_DAY = f"(?:{'|'.join(DAYS)})"
_TIME = r"((?:[01]\d|2[0-3]):[0-5]\d|24:00)"
# sat,sun 22:00-04:00
_WINDOW = re.compile(rf"(?:daily|{_DAY}(?:,{_DAY})*) {_TIME}-{_TIME}")


@dataclass(frozen=True)
class Window:
    """One line of the setting. An end before the begin is on the next day; an end equal to it is a day later."""

    text: str
    days: frozenset[int]
    from_minute: int
    minutes: int

    def is_open(self, at: datetime) -> bool:
        """Whether the window holds the moment `at` (UTC); it excludes its end."""
        minute = at.hour * 60 + at.minute
        began_today = at.weekday() in self.days and 0 <= minute - self.from_minute < self.minutes
        yesterday = (at.weekday() - 1) % 7
        began_yesterday = yesterday in self.days and minute + _MINUTES_A_DAY - self.from_minute < self.minutes
        return began_today or began_yesterday


def parse(text: str) -> Window:
    """Raises ValueError with an example of a window."""
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no window; write daily 02:00-02:30, or sat,sun 22:00-04:00 (in UTC)")
    named = text.split(" ", maxsplit=1)[0]
    days = range(7) if named == "daily" else (DAYS.index(day) for day in named.split(","))
    begins, ends = (_minute_of_day(time) for time in match.groups())
    return Window(text, frozenset(days), begins, (ends - begins) % _MINUTES_A_DAY or _MINUTES_A_DAY)


def open_window(windows: list[str], at: datetime) -> str:
    """The first open window as written; empty when none is open. Raises ValueError for a text that is no window."""
    parsed = [parse(text) for text in windows]
    return next((window.text for window in parsed if window.is_open(at)), "")


def _minute_of_day(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)
