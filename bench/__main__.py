"""`make bench`: measures against peers in the same run; writes results/bench/."""

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.command_line import run
from bench import capture, fleet, from_disk, gate, triage, upload

RESULTS = Path("results") / "bench"
UNITS = {"": 1, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Options:
    """The command line's options; None: the measurement's default."""

    results: Path
    sizes_bytes: tuple[int, ...] | None
    runs: int | None


# Name → writes its files below `results`.
MEASUREMENTS: dict[str, Callable[[Options], None]] = {
    "upload": lambda options: upload.measure(options.results, sizes_bytes=options.sizes_bytes, runs=options.runs),
    "from-disk": lambda options: from_disk.measure(options.results, sizes_bytes=options.sizes_bytes, runs=options.runs),
    "triage": lambda options: triage.measure(options.results, sizes_bytes=options.sizes_bytes, runs=options.runs),
    "gate": lambda options: gate.measure(options.results, runs=options.runs),
    "fleet": lambda options: fleet.measure(options.results),
    "capture": lambda options: capture.measure(options.results, runs=options.runs),
}


def size_bytes(text: str) -> int:
    """`64MiB`, `1GiB` or bytes."""
    match = re.fullmatch(r"([1-9]\d*)(MiB|GiB|)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is no size: 64MiB, 1GiB, 1048576")
    return int(match[1]) * UNITS[match[2]]


def run_count(text: str) -> int:
    """At least one."""
    if re.fullmatch(r"[1-9]\d*", text) is None:
        raise argparse.ArgumentTypeError(f"{text} is no number of runs: 1, 5")
    return int(text)


def main() -> None:
    """Runs the requested measurements."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(MEASUREMENTS), help="one measurement instead of all")
    parser.add_argument(
        "--sizes",
        type=lambda text: tuple(size_bytes(each) for each in text.split(",")),
        help="upload, triage: sizes with commas between them (64MiB,1GiB,8GiB)",
    )
    parser.add_argument(
        "--runs",
        type=run_count,
        help="upload: timed runs of each client (5; 3 above 4 GiB); triage: runs of each log (5); "
        "gate: events for each handler (9); capture: crashes with each collector (1)",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the figures go (results/bench)")
    given = parser.parse_args()
    given.results.mkdir(parents=True, exist_ok=True)
    for name, measure in MEASUREMENTS.items():
        if given.only in (None, name):
            measure(Options(given.results, given.sizes, given.runs))


if __name__ == "__main__":
    sys.exit(run(main))
