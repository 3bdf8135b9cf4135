"""Grades the triage on the corpus, and writes the page that tells of it."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from lambdas.triage import Triage, triage
from tests.lambdas.triage.signature_pairs import DIFFERENT, SAME, Pair
from tests.lambdas.triage.triage_cases import CASES, KINDS, Case, read

PAGE = Path(__file__).resolve().parents[3] / "docs" / "triage-accuracy.md"
_TEMPLATE = Path(__file__).with_name("triage_accuracy.md")
# Counted once, before the triage was changed for them: no run can count it again.
_ADDED_LATE, _RIGHT_AT_FIRST = 20, 15
_HOSTILE, _HOSTILE_RIGHT_AT_FIRST = 59, 22


class Grade(StrEnum):
    """How much of an answer is right."""

    RIGHT = "right"
    PARTLY = "partly"
    WRONG = "wrong"


def grade(told: Triage, case: Case) -> Grade:
    """The grade of an answer, against the right one."""
    task = (told.task.name, told.task.pid) if told.task else None
    blamed = told.blamed.symbol if told.blamed else ""
    function = told.call_trace[0].symbol if told.call_trace else ""
    place = (told.crash_class, told.crashing_cpu, task, function, blamed, told.architecture)
    is_right = place == (case.crash_class, case.cpu, case.task, case.function, case.to_blame, case.architecture)
    is_said = all(phrase in told.sentence for phrase in case.says)
    is_said = is_said and not any(phrase in told.sentence for phrase in case.lacks)
    is_warned = all(any(text in warning.text for warning in told.warnings) for text in case.warns)
    if is_right and is_said and is_warned:
        return Grade.RIGHT
    is_near = task == case.task or blamed == case.to_blame
    return Grade.PARTLY if told.crash_class == case.crash_class and is_near else Grade.WRONG


def page() -> str:
    """docs/triage-accuracy.md of today's triage."""
    rows = {kind: Counter(grade(triage(read(name)), case) for name, case in KINDS[kind].items()) for kind in KINDS}
    rows["**all**"] = sum(rows.values(), Counter[Grade]())
    fields = {
        "logs": len(CASES),
        "table": "\n".join(_row(kind, counts) for kind, counts in rows.items()),
        "added": _ADDED_LATE,
        "hostile": _HOSTILE,
        "hostile_at_first": _HOSTILE_RIGHT_AT_FIRST,
        "at_first": _RIGHT_AT_FIRST,
        "undecidable": "\n".join(
            f"- `{name}`: {case.undecidable}." for name, case in CASES.items() if case.undecidable
        ),
        "same": len(SAME),
        "same_right": sum(_is_one_bug(pair) for pair in SAME),
        "different": len(DIFFERENT),
        "different_right": sum(not _is_one_bug(pair) for pair in DIFFERENT),
    }
    text = _TEMPLATE.read_text()
    for name, value in fields.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


def _row(kind: str, counts: Mapping[Grade, int]) -> str:
    return f"| {kind} | {sum(counts.values())} | " + " | ".join(str(counts[each]) for each in Grade) + " |"


def _is_one_bug(pair: Pair) -> bool:
    return triage(pair.first).signature == triage(pair.second).signature != ""
