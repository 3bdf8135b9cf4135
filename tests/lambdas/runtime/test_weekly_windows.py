"""Windows of the week in which no alarm interrupts."""

from datetime import UTC, datetime

import pytest

from lambdas.runtime.weekly_windows import open_window, parse

# Friday
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def at(text: str) -> datetime:
    """fri 12:00, of the week of NOON."""
    day, time = text.split(" ")
    number = ("mon", "tue", "wed", "thu", "fri", "sat", "sun").index(day)
    hour, minute = time.split(":")
    return NOON.replace(day=23 + number, hour=int(hour), minute=int(minute))


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("daily 02:00-02:30", ["mon 02:00", "sun 02:29"], ["mon 01:59", "mon 02:30", "wed 14:00"]),
        ("sat,sun 22:00-04:00", ["sat 22:00", "sun 03:59", "sun 23:00", "mon 03:59"], ["sat 03:00", "mon 04:00"]),
        ("wed 00:00-24:00", ["wed 00:00", "wed 23:59"], ["tue 23:59", "thu 00:00"]),
        ("wed 08:00-08:00", ["wed 08:00", "thu 07:59"], ["wed 07:59", "thu 08:00"]),
        ("sun 23:00-01:00", ["sun 23:30", "mon 00:59"], ["mon 01:00", "sun 22:59", "tue 00:30"]),
    ],
)
def test_is_open_from_its_first_minute_to_before_its_last(window: str, inside: list[str], outside: list[str]) -> None:
    assert [each for each in inside if not parse(window).is_open(at(each))] == []
    assert [each for each in outside if parse(window).is_open(at(each))] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "daily",
        "daily 2:00-3:00",
        "daily 24:30-01:00",
        "xyz 02:00-03:00",
        "sat, sun 02:00-03:00",
        "Sat 02:00-03:00",
    ],
)
def test_says_what_a_window_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match=r"daily 02:00-02:30, or sat,sun 22:00-04:00"):
        parse(text)


def test_names_the_one_that_is_open() -> None:
    assert open_window(["daily 02:00-02:30", "fri 11:00-13:00"], NOON) == "fri 11:00-13:00"
    assert open_window(["daily 02:00-02:30"], NOON) == ""
    assert open_window([], NOON) == ""
