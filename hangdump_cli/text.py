"""Lays out answers as text: lines, tables and name-value lists. Pure; output.py prints them.

Words of a host, a tag or an alarm stay within their cell: a control character cannot forge a line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lambdas.runtime.moment import duration
from lambdas.runtime.visible_text import clip, one_line, visible

_LONGEST_CELL = 300
_LONGEST_LINE = 1000
_LONGEST_NAME = 40
_GAP = "  "


@dataclass(frozen=True)
class Table:
    """Rows below a header; `empty` stands in the place of a table without rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    empty: str = "none"


@dataclass(frozen=True)
class Fields:
    """Names and values; what has no value is left out."""

    values: Mapping[str, object]


@dataclass(frozen=True)
class Advice:
    """(name, what was seen, what to do) of each; in lines, because both are sentences."""

    items: Sequence[tuple[str, str, str]]


Block = str | Table | Fields | Advice


def lay_out(blocks: Sequence[Block]) -> list[str]:
    """The lines of an answer, without trailing blanks."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, str):
            lines.extend(clip(visible(line), _LONGEST_LINE) for line in block.split("\n"))
        elif isinstance(block, Table):
            lines.extend(_table(block))
        elif isinstance(block, Advice):
            lines.extend(_advice(block))
        else:
            lines.extend(_fields(block))
    return [line.rstrip() for line in lines]


def _table(table: Table) -> list[str]:
    if not table.rows:
        return [table.empty]
    rows = [list(table.header), *([cell(each) for each in row] for row in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.header))]
    return [_GAP.join(each.ljust(width) for each, width in zip(row, widths, strict=True)) for row in rows]


def _fields(fields: Fields) -> list[str]:
    present = {cell(name): cell(value) for name, value in fields.values.items() if value not in (None, "", ())}
    width = max((len(name) for name in present), default=0)
    return [f"{name.ljust(width)}{_GAP}{value}" for name, value in present.items()]


def _advice(advice: Advice) -> list[str]:
    lines = []
    for name, seen, todo in advice.items:
        lines.append(f"  {cell(name)}: {cell(seen)}")
        if todo:
            lines.append(f"    Next: {cell(todo)}")
    return lines


def cell(value: object) -> str:
    """One visible line."""
    return one_line(str(value), _LONGEST_CELL)


def short_name(name: str) -> str:
    """The name of an instance, for a table: a tag's value has up to 256 characters."""
    return one_line(name, _LONGEST_NAME)


def moment_of(at: datetime | None) -> str:
    """2026-11-30 02:41 UTC"""
    # botocore gives the time of the machine's own zone.
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""


def ago(at: datetime | None, now: datetime) -> str:
    """3 min ago; "" for an unknown time."""
    return f"{duration(max(0.0, (now - at).total_seconds()))} ago" if at else ""
