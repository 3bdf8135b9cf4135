"""Whatever a log, a console or a tag holds, a page has only the elements and attributes that its templates have."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambdas.incident.index_fields import IndexedIncident, SimilarIncident
from lambdas.report import render, render_index
from lambdas.report.page import Exhibits
from lambdas.triage.model import Triage
from tests.lambdas.report.documents import Document, parse
from tests.lambdas.report.hostile_values import ATTACKS, altered, hostile, incidents, triages
from tests.lambdas.report.incidents import ANALYSIS, CAPTURED, SPINNING

ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "footer", "div", "p", "h1", "h2"),
    *("h3", "strong", "span", "a", "ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td"),
    *("pre", "img", "details", "summary", "svg", "rect", "line", "path"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "rel", "src", "alt", "role"),
    *("aria-label", "aria-hidden", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "d", "overflow"),
}
# What text of any origin never becomes, wherever it stands.
CLASSES = re.compile(r"[a-z0-9 ]*")


def check_page(page: str) -> Document:
    """Nothing but what the templates have, and no character that a browser hides or a terminal obeys."""
    page.encode("utf-8")
    document = parse(page)
    for element in document.elements:
        assert element.name in ELEMENTS
        assert set(element.attributes) <= ATTRIBUTES, element
        assert CLASSES.fullmatch(element.attributes.get("class") or "")
        href = element.attributes.get("href")
        is_anchor = href is not None and re.fullmatch(r"#(?:f\d+|incidents)", href)
        assert href is None or is_anchor or re.match(r"https://[a-z0-9-]+\.console\.", href), href
        source = element.attributes.get("src")
        assert source is None or source.startswith("data:image/")
    assert document.count()["style"] == 1
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", page)
    return document


@given(
    incident=incidents,
    triage=triages,
    analysis=st.one_of(st.none(), altered(ANALYSIS)),
    texts=st.tuples(hostile, hostile, hostile, hostile, hostile),
    image=st.one_of(st.binary(max_size=20), st.just(b'\x89PNG"><script>')),
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_value_becomes_markup(
    incident: dict[str, Any], triage: dict[str, Any], analysis: dict[str, Any] | None, texts: list[str], image: bytes
) -> None:
    console, log, other, verdict, key = texts
    similar = [SimilarIncident(other, other, None, verdict, kernel=other, report_key=key)]
    exhibits = Exhibits(console=console, log=log, screenshot=image)
    check_page(render(incident, Triage.model_validate(triage), analysis, similar, exhibits=exhibits))


@given(st.lists(st.tuples(hostile, hostile, hostile, hostile, hostile), max_size=4), hostile)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_value_becomes_markup_in_the_index(rows: list[tuple[str, ...]], bucket: str) -> None:
    indexed = [
        IndexedIncident(
            incident_id=name,
            instance_id=name,
            verdict=verdict,
            refusal=refusal,
            signature="s",
            sentence=text,
            report_key=key,
        )
        for name, verdict, refusal, text, key in rows
    ]
    check_page(render_index(indexed, bucket=bucket, region="eu-central-1"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_attempted_can_be_read(attack: str) -> None:
    document = check_page(render(CAPTURED, SPINNING.model_copy(update={"panic_message": attack})))
    first = re.split("[\x00-\x1f\u0080-\u009f\u200b-\u2069\ufeff\ud800]", attack)[0]
    assert first in document.text


def test_a_control_character_is_named() -> None:
    document = check_page(render({**CAPTURED, "reason": "\x1b[2J\u202etxt.exe"}))
    assert "\\x1b[2J\\u202etxt.exe" in document.text


def test_commands_hold_a_hostile_key_as_one_word() -> None:
    keys = {"vmcore": "vmcores/x' ; reboot #/vmcore"}
    document = check_page(render({**CAPTURED, "keys": keys, "bucket": "b"}))
    (command,) = [each.text for each in document.elements if each.name == "pre" and "s3 cp" in each.text]
    assert command.startswith("aws s3 cp 's3://b/vmcores/x'\"'\"' ; reboot #/vmcore' vmcore")


def test_the_browser_is_told_that_nothing_is_loaded_and_nothing_runs() -> None:
    document = check_page(render(CAPTURED, SPINNING))
    (policy,) = [
        each.attributes["content"] for each in document.elements if each.attributes.get("http-equiv") is not None
    ]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_two_files_of_one_name_are_told_apart() -> None:
    keys = {"console": "v/i/console.txt", "consoleBefore": "v/i/before/console.txt"}
    links = [each.text for each in check_page(render({**CAPTURED, "keys": keys})).elements if each.name == "a"]
    assert links == ["before/console.txt", "console.txt"]
