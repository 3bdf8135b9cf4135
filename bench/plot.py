"""`python -m bench.plot NAME FILE.json FILE.png` draws a measurement, in the Python of the peers."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot  # type: ignore[import-not-found]

Row = Mapping[str, Any]
COLOURS = ("#c0392b", "#34495e", "#5d6d7e", "#85929e", "#aeb6bf", "#d5d8dc")
# key, title, divisor (None: GB of the row)
UPLOAD_PANELS = (
    ("mb_per_s", "Throughput (MB/s)", 1),
    ("cpu_seconds", "Client CPU (seconds per GB)", None),
    ("peak_rss_bytes", "Client memory, peak (MiB, log)", 1024 * 1024),
)
CAPTURE_PANELS = (
    ("dump_seconds", "Writing the dump (s)", 1),
    ("bytes", "The vmcore (MB)", 1e6),
    ("interrupt_to_object_seconds", "Interrupt to verified object (s)", 1),
)

FLEET_PANELS = (
    ("hours", "Time to enrol the fleet (hours, log)"),
    ("ratio_to_tightest_bucket", "Enrolments, as a share of what the tightest bucket allows"),
    ("gate_delay_seconds_p99", "How much later the gate interrupts, 99th percentile (s)"),
)
GATE_PANELS = (
    ("event_to_interrupt_seconds", "Event to interrupt, without the probe's wait (s)"),
    ("first_event_seconds", "The same for the first event of a process (s)"),
    ("import_seconds", "Import (s)"),
)


def plot_upload(rows: Sequence[Row]) -> Any:
    """Groups of bars, one group a size and one colour a client."""
    sizes = sorted({row["size_bytes"] for row in rows})
    clients = list(dict.fromkeys(row["client"] for row in rows))
    figure, axes = pyplot.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    for axis, (key, title, divisor) in zip(axes, UPLOAD_PANELS, strict=True):
        for index, client in enumerate(clients):
            mine = {row["size_bytes"]: row for row in rows if row["client"] == client}
            values = [mine[size][key] / (divisor or size / 1e9) if size in mine else 0 for size in sizes]
            places = [place + (index - len(clients) / 2 + 0.5) * 0.8 / len(clients) for place in range(len(sizes))]
            bars = axis.bar(places, values, 0.8 / len(clients), label=client, color=COLOURS[index % len(COLOURS)])
            axis.bar_label(bars, fmt="{:.4g}", fontsize=6, rotation=90, padding=2)
        axis.set_xticks(range(len(sizes)), [_name(size) for size in sizes])
        _finish(axis, title)
    axes[2].set_yscale("log")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(clients), frameon=False)
    return figure


def plot_capture(rows: Sequence[Row]) -> Any:
    """One bar a core collector; a row that ended in an error has none."""
    measured = [row for row in rows if "error" not in row]
    names = [f"{row['core_collector'].removeprefix('makedumpfile ')}\n{row['release']}" for row in measured]
    figure, axes = pyplot.subplots(1, 3, figsize=(15, 3.4), layout="constrained", sharey=True)
    for axis, (key, title, divisor) in zip(axes, CAPTURE_PANELS, strict=True):
        values = [(row[key] or 0) / divisor for row in measured]
        bars = axis.barh(range(len(measured)), values, 0.6, color=COLOURS[0])
        axis.bar_label(bars, fmt="{:.3g}", fontsize=8, padding=3)
        axis.set_yticks(range(len(measured)), names)
        _finish(axis, title)
    axes[0].invert_yaxis()
    return figure


def plot_gate(rows: Sequence[Row]) -> Any:
    """One bar a handler."""
    names = [row["handler"] for row in rows]
    figure, axes = pyplot.subplots(1, len(GATE_PANELS), figsize=(15, 2.6), layout="constrained", sharey=True)
    for axis, (key, title) in zip(axes, GATE_PANELS, strict=True):
        bars = axis.barh(range(len(rows)), [row[key] for row in rows], 0.6, color=COLOURS[: len(rows)])
        axis.bar_label(bars, fmt="{:.3g}", fontsize=8, padding=3)
        axis.set_yticks(range(len(rows)), names)
        _finish(axis, title)
    axes[0].invert_yaxis()
    return figure


def plot_fleet(rows: Sequence[Row]) -> Any:
    """One line a pace."""
    figure, axes = pyplot.subplots(1, len(FLEET_PANELS), figsize=(15, 4.2), layout="constrained")
    for axis, (key, title) in zip(axes, FLEET_PANELS, strict=True):
        for colour, per_minute in zip(COLOURS, sorted({row["enrolments_per_minute"] for row in rows}), strict=False):
            own = [row for row in rows if row["enrolments_per_minute"] == per_minute]
            sizes = [row["instances"] for row in own]
            values = [row[key] for row in own]
            axis.plot(sizes, values, "o-", color=colour, label=f"{per_minute} a minute")
        axis.set_xscale("log")
        axis.set_xlabel("instances")
        axis.legend(fontsize=8)
        _finish(axis, title)
    axes[0].set_yscale("log")
    return figure


def _finish(axis: Any, title: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.margins(0.15)
    axis.spines[["top", "right"]].set_visible(False)


def _name(size_bytes: int) -> str:
    return f"{size_bytes // 2**30} GiB" if size_bytes >= 2**30 else f"{size_bytes // 2**20} MiB"


PLOTS = {"upload": plot_upload, "capture": plot_capture, "fleet": plot_fleet, "gate": plot_gate}


def main(name: str, source: Path, target: Path) -> None:
    PLOTS[name](json.loads(source.read_text())).savefig(target, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
