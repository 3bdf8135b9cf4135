"""The pages as a browser lays them out, wide and narrow, light and dark: nothing overflows, nothing is cut or missing.

REPORT_SCREENSHOTS=<directory> keeps a picture of each.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from lambdas.report import render, render_fleet, render_index
from lambdas.report.page import Exhibits
from lambdas.triage import triage
from tests.lambdas.report import fleets, incidents
from tests.lambdas.report.conftest import Show
from tests.lambdas.triage.triage_cases import read

pytestmark = pytest.mark.slow

_ALWAYS = {
    *("cause", "panic", "first", "last", "facts", "timeline", "next"),
    *("evidence", "custody", "costs", "events"),
}


def _from_log(log: str) -> str:
    return render(incidents.CAPTURED, triage(log), exhibits=Exhibits(log=log))


PAGES: dict[str, tuple[str, set[str]]] = {
    "captured": (
        render(
            incidents.CAPTURED, incidents.SPINNING, incidents.ANALYSIS, incidents.BEFORE, exhibits=incidents.EXHIBITS
        ),
        {
            *("cause", "panic", "first", "last", "facts", "timeline", "trace", "cpus", "waits", "memory", "warnings"),
            *("next", "similar", "evidence", "custody", "costs", "events"),
        },
    ),
    "refused": (render(incidents.REFUSED), {"cause", "first", "facts", "timeline", "next", "evidence", "events"}),
    "little known": (
        render(incidents.LITTLE_KNOWN),
        {"cause", "first", "facts", "timeline", "problems", "next", "events"},
    ),
    "enormous": (
        render(incidents.LONG_UPLOAD, incidents.ENORMOUS, None, incidents.BEFORE),
        {
            *("cause", "panic", "first", "facts", "timeline", "trace", "cpus", "blocked", "memory", "warnings", "next"),
            *("similar", "problems", "evidence", "custody", "costs", "events"),
        },
    ),
    "27 blocked tasks": (_from_log(incidents.blocked_log(27)), {*_ALWAYS, "trace", "cpus", "blocked", "warnings"}),
    "448 CPUs behind one lock": (_from_log(incidents.crowd_log(448)), {*_ALWAYS, "trace", "cpus", "warnings"}),
    "out of memory": (_from_log(read("out-of-memory")), {*_ALWAYS, "trace", "cpus", "memory", "warnings"}),
    "abort on arm64": (_from_log(read("external-abort-arm64")), {*_ALWAYS, "trace", "cpus", "warnings"}),
    "fleet": (render_fleet(fleets.MIXED), {"statuses", "instances"}),
    "index": (
        render_index(incidents.FLEET, bucket="vmcores", region="eu-central-1"),
        {"filters", "refusals", "groups", "incidents"},
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
# Parts with an id that have no height, or whose text has the colour of what is behind it. A filter is seen when chosen.
INVISIBLE = """() => [...document.querySelectorAll("[id]:not(.only)")].filter(part => {
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
    assert set(page.evaluate("[...document.querySelectorAll('[id]:not(.only)')].map(part => part.id)")) == parts


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
@pytest.mark.parametrize("name", [name for name in PAGES if name not in ("index", "fleet", "enormous")])
def test_cause_panic_and_next_step_are_seen_without_scrolling(show: Show, name: str, width: int, height: int) -> None:
    page = show(PAGES[name][0], width, "light")
    _keep(page, f"fold-{name}-{width}", is_whole=False)
    bottoms = (
        "[...document.querySelectorAll('#cause, #panic, #first')].map(each => each.getBoundingClientRect().bottom)"
    )
    assert max(page.evaluate(bottoms)) <= height


@pytest.mark.parametrize("name", PAGES)
def test_the_schemes_differ_and_both_are_calm(show: Show, name: str) -> None:
    """Chromium inverts nothing by itself: the page has colours of its own for the dark."""
    backgrounds = {
        scheme: show(PAGES[name][0], 800, scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert backgrounds["light"] != backgrounds["dark"]


def test_a_click_on_a_value_shows_only_its_incidents_and_another_all(show: Show) -> None:
    page = show(PAGES["index"][0], 1440, "light")
    rows = "[...document.querySelectorAll('#incidents .row')].filter(each => each.offsetHeight).length"
    every = page.evaluate(rows)
    page.click("#filters a:text-is('refused')")
    _keep(page, "index-filtered")
    assert page.evaluate(rows) == sum(each.verdict == "refused" for each in incidents.FLEET) < every
    page.click(".only:target a")
    assert page.evaluate(rows) == every


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


def _keep(page: Any, name: str, *, is_whole: bool = True) -> None:
    if folder := os.environ.get("REPORT_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name.replace(' ', '-')}.png", full_page=is_whole)
