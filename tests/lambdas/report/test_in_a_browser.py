"""The pages as a browser lays them out, wide and narrow, light and dark: nothing overflows, nothing is cut or missing.

REPORT_SCREENSHOTS=<directory> keeps a picture of each.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from lambdas.report import render, render_index
from tests.lambdas.report import incidents
from tests.lambdas.report.conftest import Show

pytestmark = pytest.mark.slow

PAGES: dict[str, tuple[str, set[str]]] = {
    "captured": (
        render(
            incidents.CAPTURED, incidents.SPINNING, incidents.ANALYSIS, incidents.BEFORE, exhibits=incidents.EXHIBITS
        ),
        {
            *("sentence", "facts", "timeline", "trace", "cpus", "waits", "memory", "warnings", "next", "similar"),
            *("evidence", "custody", "costs", "events"),
        },
    ),
    "refused": (render(incidents.REFUSED), {"facts", "timeline", "next", "evidence", "events"}),
    "little known": (render(incidents.LITTLE_KNOWN), {"facts", "timeline", "problems", "next", "events"}),
    "enormous": (
        render(incidents.LONG_UPLOAD, incidents.ENORMOUS, None, incidents.BEFORE),
        {
            *("sentence", "facts", "timeline", "trace", "cpus", "blocked", "memory", "warnings", "next", "similar"),
            *("problems", "evidence", "custody", "costs", "events"),
        },
    ),
    "index": (
        render_index(incidents.FLEET, bucket="vmcores", region="eu-central-1"),
        {"verdicts", "refusals", "groups", "incidents"},
    ),
}

# What is wider than its box, or stands outside of the page, with what it says.
CUT = """() => {
  const page = document.documentElement.clientWidth, cut = [];
  for (const element of document.body.querySelectorAll("*:not(svg *)")) {
    const box = element.getBoundingClientRect();
    if (!box.width) continue;
    const isOutside = box.left < -0.5 || box.right > page + 0.5;
    const isWider = element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline";
    if (isOutside || isWider) cut.push(`${element.tagName}.${element.className}: ${element.textContent.slice(0, 60)}`);
  }
  return cut;
}"""
# Parts with an id that have no height, or whose text has the colour of what is behind it.
INVISIBLE = """() => [...document.querySelectorAll("[id]")].filter(part => {
  const box = part.getBoundingClientRect(), style = getComputedStyle(part);
  return box.height < 20 || style.color === getComputedStyle(document.body).backgroundColor;
}).map(part => part.id)"""
OVERLAPPING = """() => {
  const boxes = [...document.querySelectorAll("section")].map(part => [part.id, part.getBoundingClientRect()]);
  const found = [];
  for (const [one, a] of boxes) for (const [other, b] of boxes)
    if (one < other && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1) found.push(`${one} and ${other}`);
  return found;
}"""
CONTRAST = """() => {
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if (color !== "rgba(0, 0, 0, 0)") return color;
    }
  };
  const found = new Set();
  for (const element of document.body.querySelectorAll("*:not(svg):not(svg *)")) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.add(`${element.tagName}.${element.className}: ${ratio.toFixed(2)}`);
  }
  return [...found];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_each_part_whole(show: Show, name: str, width: int, scheme: str) -> None:
    html, parts = PAGES[name]
    page = show(html, width, scheme)
    _keep(page, f"{name}-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate(CUT) == []
    assert page.evaluate(INVISIBLE) == []
    assert page.evaluate(OVERLAPPING) == []
    assert page.evaluate(CONTRAST) == []
    assert set(page.evaluate("[...document.querySelectorAll('[id]')].map(part => part.id)")) == parts


@pytest.mark.parametrize("name", PAGES)
def test_the_schemes_differ_and_both_are_calm(show: Show, name: str) -> None:
    """Chromium inverts nothing by itself: the page has colours of its own for the dark."""
    backgrounds = {
        scheme: show(PAGES[name][0], 800, scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert backgrounds["light"] != backgrounds["dark"]


def test_what_is_folded_away_fits_too(show: Show) -> None:
    for name in ("captured", "enormous"):
        page = show(PAGES[name][0], 390, "light")
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate(CUT) == []


def test_on_paper_nothing_is_cut_off(show: Show) -> None:
    page = show(PAGES["captured"][0], 720, "light")
    page.emulate_media(media="print")
    assert page.evaluate(CUT) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_the_browser_loads_nothing_and_complains_of_nothing(show: Show, browser: Any) -> None:
    said: list[str] = []
    asked: list[str] = []
    page = show("", 800, "light")
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    path = Path(page.url.removeprefix("file://"))
    path.write_text(PAGES["captured"][0], encoding="utf-8")
    page.reload()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page.url]


def _keep(page: Any, name: str) -> None:
    if folder := os.environ.get("REPORT_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name.replace(' ', '-')}.png", full_page=True)
