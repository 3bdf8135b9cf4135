"""`python -m bench.plot upload.json upload.png`: throughput, CPU time and memory by size; run by the peers' Python."""

import json
import sys
from pathlib import Path

from matplotlib import pyplot  # type: ignore[import-not-found]

# key, title, divisor
PANELS = (
    ("mb_per_s", "Throughput (MB/s)", 1),
    ("cpu_seconds", "Client CPU (seconds per GB)", None),
    ("peak_rss_bytes", "Client memory, peak (MiB, log)", 1024 * 1024),
)
COLOURS = ("#c0392b", "#34495e", "#5d6d7e", "#85929e", "#aeb6bf", "#d5d8dc")


def main(source: Path, target: Path) -> None:
    rows = json.loads(source.read_text())
    sizes = sorted({row["size_bytes"] for row in rows})
    clients = list(dict.fromkeys(row["client"] for row in rows))
    figure, axes = pyplot.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
    for axis, (key, title, divisor) in zip(axes, PANELS, strict=True):
        for index, client in enumerate(clients):
            mine = {row["size_bytes"]: row for row in rows if row["client"] == client}
            values = [mine[size][key] / (divisor or size / 1e9) if size in mine else 0 for size in sizes]
            places = [place + (index - len(clients) / 2 + 0.5) * 0.8 / len(clients) for place in range(len(sizes))]
            bars = axis.bar(places, values, 0.8 / len(clients), label=client, color=COLOURS[index % len(COLOURS)])
            axis.bar_label(bars, fmt="{:.3g}", fontsize=6, rotation=90, padding=2)
        axis.set_xticks(range(len(sizes)), [_name(size) for size in sizes])
        axis.set_title(title, fontsize=10)
        axis.margins(y=0.15)
        axis.spines[["top", "right"]].set_visible(False)
    axes[2].set_yscale("log")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(clients), frameon=False)
    figure.savefig(target, dpi=130)


def _name(size_bytes: int) -> str:
    return f"{size_bytes // 2**30} GiB" if size_bytes >= 2**30 else f"{size_bytes // 2**20} MiB"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
