"""The table of conditions in docs/safety.md is the one that results/conditions.json makes."""

from tests.guest.conditions import BEGIN, END, PAGE, read, table


def test_the_page_shows_what_was_last_measured() -> None:
    shown = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert shown == table(read()), "run tests/guest/test_conditions.py with UPDATE_SNAPSHOTS=1 and commit the page"
