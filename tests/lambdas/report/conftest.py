"""One browser for all looks at a page, with nothing but the page: no network, no script."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

# (page's HTML, width in pixels, light or dark)
Show = Callable[[str, int, str], Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("The pages are looked at in a browser, and there is none. Run this: sudo apt-get install chromium")
    # Its sandbox needs a user other than root; it shows nothing here but our own page.
    options = ["--no-sandbox"]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=executable, args=options) as browser,
    ):
        yield browser


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Opens a page from a file, as a downloaded report is opened."""
    shown: list[Page] = []

    def show(html: str, width: int, scheme: str) -> Page:
        path = tmp_path / "report.html"
        path.write_text(html, encoding="utf-8")
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
        )
        shown.append(page)
        page.goto(path.as_uri())
        return page

    yield show
    for page in shown:
        page.close()
