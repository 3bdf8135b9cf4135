"""Splits a kernel's log into lines without time stamps, caller ids, levels and prefixes of console or syslog. Pure.

The limits keep all later work linear: no line is longer than LONGEST_LINE, no log longer than _LONGEST_LOG, and it has
no more lines than _FIRST_LINES and _LAST_LINES.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

# printk cuts a record at 1024 (CONSOLE_EXT_LOG_MAX is longer, but only for netconsole).
LONGEST_LINE = 1024
# The crash is at the end of a log, the machine at its beginning: a longer log loses its middle.
_LONGEST_LOG = 4 * 1024**2
_BEGINNING = 128 * 1024
# An honest log of that length has some 50,000 lines.
_FIRST_LINES, _LAST_LINES = 5_000, 95_000

# ESC[0;32m
_ESCAPE = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
# Two CPUs' output, or a login prompt, in one line of the console: "login: [   12.345678] text"
_STAMP_INSIDE = re.compile(r"(?<=[^\n>])(?<! : )(?=\[ {0,4}\d{1,10}\.\d{6}\](?:\[ {0,12}[TC]\d| ))")
# Of syslog and journalctl's formats: Nov 23 10:57:58 host kernel: · Nov 23 10:57:58.123456 host kernel: ·
# Mon 2026-11-23 10:57:58 UTC host kernel: · 2026-11-23T10:57:58.1+00:00 host kernel: · 1795431478.123456 host kernel:
_SYSLOG = re.compile(
    r"(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}(?:\.\d{1,9})?|\d{4}-\d\d-\d\dT[\d:.,+Z-]{8,34}|\d{9,10}\.\d{6}"
    r"|[A-Z][a-z]{2} \d{4}-\d\d-\d\d [\d:]{8}(?:\.\d{1,9})? [A-Z][A-Za-z]{1,5}) \S{1,255} kernel: ?"
)
# What dmesg --decode puts before a line: kern  :info  :
_DECODED = re.compile(r"[a-z]{2,8} {0,5}:[a-z]{2,8} {0,5}: (?=\[)")
# 6,1234,5678901,-;text · 4,1235,5678902,-,caller=T123;text: a record of /dev/kmsg, with microseconds
_RECORD = re.compile(
    r"\d{1,3},\d{1,20},(?P<microseconds>\d{1,18}),[-+c](?:,caller=(?P<caller>[TC]\d{1,10}))?[^;]{0,60};"
)
# <6>[   12.345678][  T123] text · [   12.345678] [      C0] text (makedumpfile pads) · [   12.345678 <    0.1>] text ·
# [Mon Nov 23 10:57:58 2026] text · [Nov23 10:57] text · [  +0.000012] text · 2026-11-23T10:57:58,123456+00:00 text ·
# [   12.345678] host kernel: text
_PREFIX = re.compile(
    r"(?:<\d{1,3}>)?(?:\[ {0,12}(?P<at>\d{1,12}\.\d{1,6})(?: <[ \d.+]{1,20}>)?\]"
    r"|\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}(?: <[ \d.+]{1,20}>)?\]"
    r"|\[(?:[A-Z][a-z]{2} ?\d{1,2} \d\d:\d\d| {1,6}\+\d{1,6}\.\d{6})\]|\d{4}-\d\d-\d\dT[\d:]{8},\d{6}[+-]\d\d:\d\d)"
    r"(?: ?\[ {0,12}(?P<caller>[TC]\d{1,10})\])? ?(?:(?<=\] )[\w.-]{1,255} kernel: )?"
)
# Without time stamps a caller id may stand alone: "[    T1] text"
_CALLER_ALONE = re.compile(r"(?:<\d{1,3}>)?\[ {0,12}(?P<caller>[TC]\d{1,10})\] ?")
_LEVEL_ALONE = re.compile(r"<\d{1,3}>")


class Line(NamedTuple):
    """One line; `at` in seconds since boot, `caller` such as T123 (a task) or C0 (a CPU in an interrupt) or "".

    A log has a hundred thousand: a tuple is made in a third of the time of a frozen dataclass.
    """

    text: str
    at: float | None = None
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    """Lines in order, and whether its beginning or end is missing."""

    lines: list[Line]
    is_cut: bool = False


def read_log(text: str) -> Log:
    """Reads any text, also with CRLF, lone surrogates, control characters and a truncated first line."""
    is_cut = len(text) > _LONGEST_LOG
    if is_cut:
        text = f"{text[:_BEGINNING]}\n{text[-(_LONGEST_LOG - _BEGINNING) :]}"
    plain = _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    raws = _split(plain)
    is_cut = is_cut or len(raws) < plain.count("\n")
    lines: list[Line] = []
    for raw in raws:
        seen = _printable(raw[: 4 * LONGEST_LINE])
        for piece in _STAMP_INSIDE.split(seen) if seen.find("[", 1) > 0 else (seen[:LONGEST_LINE],):
            if piece and not piece.isspace():
                lines.append(_read_line(piece[: LONGEST_LINE + 100], lines[-1] if lines else None))
    return Log(lines, is_cut=is_cut or not text.endswith(("\n", "\r")))


def _split(text: str) -> list[str]:
    """The first and the last lines. Two million lines of one character would take half a gigabyte."""
    first = text.split("\n", _FIRST_LINES)
    last = first.pop().rsplit("\n", _LAST_LINES) if len(first) > _FIRST_LINES else []
    return first + (last[1:] if len(last) > _LAST_LINES else last)


def _printable(raw: str) -> str:
    """People read the log: a tab becomes a space, and what else is invisible a question mark."""
    if raw.isprintable():
        return raw
    return "".join(each if each.isprintable() else " " if each == "\t" else "?" for each in raw)


def _read_line(raw: str, previous: Line | None) -> Line:
    # Most lines begin with the kernel's own stamp.
    body = raw if raw.startswith("[") else _without_head(raw)
    record = _RECORD.match(body) if body[:1].isdigit() else None
    if record is not None:
        return Line(
            body[record.end() :].rstrip()[:LONGEST_LINE], int(record["microseconds"]) / 1e6, record["caller"] or ""
        )
    prefix = _PREFIX.match(body)
    if prefix is not None:
        at, caller = prefix.group("at", "caller")
        return Line(body[prefix.end() :].rstrip()[:LONGEST_LINE], float(at) if at else None, caller or "")
    alone = _CALLER_ALONE.match(body)
    if alone is not None:
        return Line(body[alone.end() :].rstrip()[:LONGEST_LINE], None, alone["caller"])
    level = _LEVEL_ALONE.match(body)
    text = body[level.end() :] if level else body
    # In a log read from a dump, a record of several lines has its prefix only once.
    return Line(text[:LONGEST_LINE], previous.at if previous else None, previous.caller if previous else "")


def _without_head(raw: str) -> str:
    """Without what syslog, journalctl or dmesg put before the kernel's own stamp."""
    head = _SYSLOG.match(raw) or _DECODED.match(raw)
    return raw[head.end() :] if head else raw
