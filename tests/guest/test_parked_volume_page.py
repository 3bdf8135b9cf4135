"""The table in docs/parked-volume.md is the one that results/parked-volume.json makes."""

from tests.guest.parked_volume import BEGIN, END, PAGE, read, table


def test_the_page_shows_what_was_last_measured() -> None:
    shown = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert shown == table(read()), "run tests/guest/test_parked_volume.py with UPDATE_SNAPSHOTS=1 and commit the page"
