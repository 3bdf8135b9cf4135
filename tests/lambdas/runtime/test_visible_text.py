"""Words of consoles, alarms, tags and dumps: visible, wherever they leave."""

import json
import sys
import unicodedata
from typing import Any

import pytest

from lambdas.runtime.notification import publish
from lambdas.runtime.observability import logger
from lambdas.runtime.visible_text import visible, visible_line
from tests.lambdas.account import Account

INVISIBLE = {
    *("\x00", "\x1b", "\x7f", "\x9b", "\xad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u180b", "\u180e"),
    *("\u200b", "\u200e", "\u2028", "\u2029", "\u202e", "\u2060", "\u2066", "\u2800", "\u3164", "\ufe0f", "\ufeff"),
    *("\uffa0", "\ufff9", "\uffff", "\ud800", "\ue000", "\U000e0041", "\U000e0100", "\U000e01ef", "\r"),
}


@pytest.mark.parametrize("character", sorted(INVISIBLE), ids=lambda each: f"{ord(each):04x}")
def test_what_nobody_sees_is_shown_by_its_number(character: str) -> None:
    shown = visible(f"a{character}b")
    assert character not in shown
    assert f"{ord(character):x}" in shown


def test_what_people_see_stays() -> None:
    text = "Привет, 世界 “quoted” … é ü \U0001f600\tand\na\xa0line"
    assert visible(text) == text
    assert visible_line("two  words\r\nand a line") == "two  words and a line"


def test_every_control_and_format_character_of_unicode_is_shown() -> None:
    controls = [each for each in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(each) in ("Cc", "Cf")]
    assert not set(visible("".join(controls)).replace("\t", "").replace("\n", "")) & set(controls)


def test_no_line_of_a_message_hides_or_forges_anything(account: Account) -> None:
    publish(
        account.topic_arn,
        subject="of \u202einstance",
        lines=["i-1: 6\x1b[2J\u202e\ud800", "Alarm  a\nVerdict  captured"],
    )
    (message,) = account.messages
    assert message == "of ?instance\ni-1: 6\\x1b[2J\\u202e\\ud800\nAlarm  a Verdict  captured"


def test_no_line_of_the_log_hides_anything() -> None:
    formatter: Any = logger.registered_formatter
    line = formatter.serialize({"message": "a \u202e\x1b[2J b"})
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == "a \u202e\x1b[2J b"
