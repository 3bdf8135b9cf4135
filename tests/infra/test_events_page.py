"""docs/events.md and the schema beside it say what the code publishes."""

from infra.tools import events_page


def test_the_page_of_events_and_its_schema_are_up_to_date() -> None:
    assert events_page.PAGE.read_text(encoding="utf-8") == events_page.page(), "run `make docs` and commit docs/"
    assert events_page.SCHEMA.read_text(encoding="utf-8") == events_page.schemas(), "run `make docs` and commit docs/"
