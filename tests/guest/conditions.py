"""What the gate saw and decided of each condition, as results/conditions.json and as a table in docs/safety.md."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
RESULTS = _ROOT / "results" / "conditions.json"
PAGE = _ROOT / "docs" / "safety.md"
BEGIN, END = "<!-- conditions: written by tests/guest/test_conditions.py -->\n", "<!-- end of conditions -->\n"

Outcome = Mapping[str, Any]


def note(outcome: Outcome) -> None:
    """Into results/conditions.json and the page, in the place of what was known of the condition."""
    known = {each["condition"]: each for each in read()} | {outcome["condition"]: dict(outcome)}
    RESULTS.write_text(json.dumps([known[name] for name in sorted(known)], indent=2) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + table(read()) + END + rest.partition(END)[2], encoding="utf-8")


def read() -> list[dict[str, Any]]:
    """In the order of their names."""
    outcomes: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    return outcomes


def table(outcomes: list[dict[str, Any]]) -> str:
    """Between the markers of the page; nothing before the first run."""
    if not outcomes:
        return ""
    head = "| condition | ARP | probe | last ping | CPU | EBS operations | console | decision | after |"
    return "\n".join([head, "|---" * 9 + "|", *map(_row, outcomes)]) + "\n"


def _row(outcome: Outcome) -> str:
    seen = outcome["signals"]
    cells = (
        outcome["condition"],
        "answered" if seen["arp"] else "unanswered",
        seen["probe"],
        f"{seen['ping_age_seconds']} s ago",
        f"{seen['cpu_percent']} %",
        f"{seen['ebs_operations_per_minute']} a minute",
        seen["console"],
        f"{'refuse' if outcome['decision'] == 'refuse' else 'interrupt'}: `{outcome['reason']}`",
        f"{outcome['seconds_to_decision']} s",
    )
    return f"| {' | '.join(cells)} |"
