"""docs/settings.md shows the settings as they are."""

from infra.tools.settings_page import PAGE, page


def test_the_page_is_made_from_todays_settings() -> None:
    assert PAGE.read_text() == page(), "run `make docs` and commit docs/settings.md"
