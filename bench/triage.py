"""Measures triage: time and memory for logs of given sizes, each in a process of its own, like a Lambda function."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

LOGS = Path("tests/lambdas/triage/logs")
SIZES_BYTES = (2**20, 8 * 2**20)
# Lines that make a careless regular expression backtrack.
HOSTILE = ("CPU: 1 PID: ", "Kernel panic - not syncing: \n", " foo+0x1/0x2\n", "[    1.000000] ")
# VmHWM rather than ru_maxrss, which a child begins with that of whoever started it.
_CHILD = """
import json, re, sys, time
from pathlib import Path
log = Path(sys.argv[1]).read_text(errors="replace")
from lambdas.triage import triage
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
before, began = peak(), time.process_time()
if log:
    triage(log, console=log[:65536]).model_dump_json(by_alias=True)
print(json.dumps({"seconds": time.process_time() - began, "peak_rss_bytes": peak(), "idle_rss_bytes": before}))
"""


@dataclass(frozen=True)
class Log:
    """The logs by name."""

    name: str
    text: str


def logs(sizes_bytes: Sequence[int]) -> Iterator[Log]:
    """The tests' corpus repeated up to each size, then hostile logs of the first size."""
    corpus = "".join(path.read_text() for path in sorted(LOGS.glob("*.txt")))
    for size in sizes_bytes:
        yield Log("corpus", (corpus * (size // len(corpus) + 1))[:size])
    for piece in HOSTILE:
        yield Log(f"only {piece.strip()!r}", (piece * (sizes_bytes[0] // len(piece) + 1))[: sizes_bytes[0]])


def measure(results: Path, *, sizes_bytes: Sequence[int] | None, runs: int | None) -> None:
    """Writes triage.json, one row a log: CPU seconds (median), and the peak of the whole process, Python with it."""
    rows = []
    for log in logs(sizes_bytes or SIZES_BYTES):
        measured = [_run(log.text) for _ in range(runs or 5)]
        rows.append(
            {
                "log": log.name,
                "size_bytes": len(log.text),
                "seconds": round(median(each["seconds"] for each in measured), 3),
                "peak_rss_bytes": max(each["peak_rss_bytes"] for each in measured),
                "idle_rss_bytes": max(each["idle_rss_bytes"] for each in measured),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    (results / "triage.json").write_text(json.dumps(rows, indent=1) + "\n")


def _run(text: str) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([sys.executable, "-c", _CHILD, file.name], check=True, capture_output=True, text=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured
