"""Measures uploads under AWS-like conditions: from a disk of a known speed, to an S3 some milliseconds away.

Each round of Hangdump also waits as long as Run Command and the state machine take for one.
"""

import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import peers
from bench.disk import Disk, slow_disk
from bench.document import Instance, hangdump
from bench.endpoint import Endpoint, serving
from bench.meter import Meter

GIB = 1024**3
SPEEDS_MIB_PER_SECOND = (125, 500, 1000)
ANSWER_SECONDS, ROUND_SECONDS = 0.03, 3.0
Row = dict[str, float | int | str]


def measure(results: Path, *, sizes_bytes: tuple[int, ...] | None = None, runs: int | None = None) -> None:
    """Writes from_disk.json."""
    rows = []
    with serving(answer_seconds=ANSWER_SECONDS) as endpoint:
        for size_bytes in sizes_bytes or (8 * GIB,):
            for mib_per_second in SPEEDS_MIB_PER_SECOND:
                with slow_disk(size_bytes, mib_per_second=mib_per_second) as disk:
                    for row in rows_of(endpoint, disk, size_bytes, runs or 1):
                        rows.append({"disk_mib_per_s": mib_per_second, **row})
                        print(json.dumps(rows[-1]), flush=True)
                (results / "from_disk.json").write_text(json.dumps(rows, indent=1) + "\n")


def rows_of(endpoint: Endpoint, disk: Disk, size_bytes: int, runs: int) -> Iterator[Row]:
    """One row a client; `read` only reads the file, which is the most that the disk gives."""
    instance = Instance(disk.directory / "root", size_bytes, round_seconds=ROUND_SECONDS)
    clients: dict[str, Callable[[Meter, Path], None]] = {
        "read": _read,
        "hangdump": hangdump(endpoint, instance),
        "aws-s3-cp": peers.aws_s3_cp(endpoint, disk.directory),
    }
    seconds: dict[str, float] = {}
    for name, upload in clients.items():
        taken = []
        for _ in range(runs):
            disk.forget(instance.vmcore)
            meter = Meter(samples_memory=False, cgroup=disk.readers)
            upload(meter, instance.vmcore)
            taken.append(meter.usage().seconds)
        seconds[name] = statistics.median(taken)
        yield {
            "client": name,
            "size_bytes": size_bytes,
            "seconds": round(seconds[name], 2),
            "mib_per_s": round(size_bytes / seconds[name] / 1024**2, 1),
            "ratio_to_disk": round(seconds["read"] / seconds[name], 3),
        }


def _read(meter: Meter, file: Path) -> None:
    meter.run(["dd", f"if={file}", "of=/dev/null", "bs=1M", "status=none"])
