"""The matrix as a page and as counts. The same matrix gives the same text."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from lab.simulator.injection import Site
from tests.simulator.faults.matrix import Cell, Matrix

RESULTS = Path(__file__).resolve().parents[3] / "results" / "faults.json"
HEADER = """# The fault matrix

Written by `make faults`; do not edit. Each row is a place where Hangdump calls AWS: a state of a state machine, or a
function. Its cells are runs of the synthesized state machines and the real handlers, in an emulated account and in
virtual time, in which that call goes wrong: refused with each error that AWS documents for it (once when it passes on
its own, and always), done but the answer is lost, done but later than every time-out, and for functions: the process
dies when the call is done. `make test` runs one cell of each place, `make test-all` one of each kind.

After each run: at most one interrupt; no vmcore removed before the object was proven; none lost; every collection has
its verdict in record, notification and metric; an alarm that led to none got an answer or a notification; every
provisioning and analysis has an end with a name and a cause; what is left behind was removed or named by a sweep that
really ran.
"""


def page(matrix: Matrix) -> str:
    """docs/fault-matrix.md"""
    rows = [_row(site, cells) for site, cells in _by_site(matrix.cells).items()]
    lines = ["| place | call | cells | ends |", "|---|---|---|---|", *rows]
    return HEADER + f"\n{len(matrix.cells)} cells at {len(rows)} places.\n\n" + "\n".join(lines) + "\n"


def counts(matrix: Matrix) -> dict[str, int]:
    """For results/faults.json."""
    return {
        "cells": len(matrix.cells),
        "cells_with_verdict": sum(1 for cell in matrix.cells if cell.ends and not cell.violations),
        "cells_violated": len(matrix.violations),
    }


def note_counts(counted: Mapping[str, int]) -> None:
    """Into results/faults.json, beside what is there; `violations` is of cells and of random schedules together."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) | counted
    known["violations"] = known["cells_violated"] + known["random_schedules_violated"]
    RESULTS.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


def head_of_row(site: Site, cells: int) -> str:
    """All but how its cells end."""
    return f"| {site.caller} | `{site.call}` | {cells} |"


def _by_site(cells: Iterable[Cell]) -> dict[Site, list[Cell]]:
    found: dict[Site, list[Cell]] = {}
    for cell in cells:
        if cell.faults:
            found.setdefault(cell.faults[-1].site, []).append(cell)
    return dict(sorted(found.items()))


def _row(site: Site, cells: list[Cell]) -> str:
    ends = sorted({end for cell in cells for end in cell.ends})
    return f"{head_of_row(site, len(cells))} {', '.join(ends)} |"
