"""What became of each crash of a host whose dump volume is parked, as results/parked-volume.json and as a table in
docs/parked-volume.md."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
RESULTS = _ROOT / "results" / "parked-volume.json"
PAGE = _ROOT / "docs" / "parked-volume.md"
BEGIN, END = "<!-- runs: written by tests/guest/test_parked_volume.py -->\n", "<!-- end of runs -->\n"
# Seconds since the crash kernel's banner; None: did not happen.
TIMES = ("waiting", "mounted", "saved", "back")
_HOSTS = {"debian": "Debian", "redhat": "RHEL-like"}

Outcome = Mapping[str, Any]


def note(outcome: Outcome) -> None:
    """Into the results and the page, in the place of what was known of the same run."""
    known = {_key(each): each for each in read()} | {_key(outcome): dict(outcome)}
    runs = [known[key] for key in sorted(known)]
    RESULTS.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + table(runs) + END + rest.partition(END)[2], encoding="utf-8")


def read() -> list[dict[str, Any]]:
    """By family, file system, cause and moment of the attachment; never comes last."""
    runs: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    return runs


def table(runs: list[dict[str, Any]]) -> str:
    """Between the markers of the page; nothing before the first run."""
    if not runs:
        return ""
    head = "| host | file system | crash by | attached at | waiting began | mounted | saved | back | dump |"
    return "\n".join([head, "|---" * 9 + "|", *map(_row, runs)]) + "\n"


def _key(run: Outcome) -> tuple[str, str, str, float]:
    attached = run["attached"]
    return run["family"], run["file_system"], run["cause"], float("inf") if attached is None else attached


def _row(run: Outcome) -> str:
    attached = "never" if run["attached"] is None else f"{run['attached']} s"
    times = ("-" if run[name] is None else f"{run[name]} s" for name in TIMES)
    dump = f"complete, {run['dump_mib']} MiB" if run["dump_mib"] else "none; rebooted at its bound"
    return f"| {' | '.join((_HOSTS[run['family']], run['file_system'], run['cause'], attached, *times, dump))} |"
