"""Measures uploads of one file by Hangdump and by its peers: interleaved runs, one server, medians."""

import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.command_line import UserError
from bench import peers
from bench.document import Instance, hangdump
from bench.endpoint import Endpoint, serving
from bench.meter import Meter, Usage

GIB = 1024**3
SIZES_BYTES = (64 * 1024**2, GIB, 8 * GIB)
Row = dict[str, float | int | str]


class PeersMissing(UserError):
    """No peer is installed."""


def measure(results: Path, *, sizes_bytes: tuple[int, ...] | None = None, runs: int | None = None) -> None:
    """Writes upload.json and upload.png."""
    if not peers.PEERS.exists():
        raise PeersMissing(f"{peers.PEERS} is not there. `make bench` installs the peers")
    rows = []
    file = results / "upload.json"
    with serving() as endpoint:
        for size_bytes in sizes_bytes or SIZES_BYTES:
            for row in rows_of(endpoint, size_bytes, runs or (3 if size_bytes > 4 * GIB else 5)):
                print(json.dumps(row), flush=True)
                rows.append(row)
            file.write_text(json.dumps(rows, indent=1) + "\n")
    peers.plot("upload", file)


def rows_of(endpoint: Endpoint, size_bytes: int, runs: int) -> Iterator[Row]:
    """One row a client. A first run of each is not timed: it fills the page cache and samples the memory."""
    with _directory_for(size_bytes) as directory:
        instance = Instance(directory / "root", size_bytes)
        clients: dict[str, Callable[[Meter, Path], None]] = {
            "hangdump": hangdump(endpoint, instance),
            "aws-s3-cp": peers.aws_s3_cp(endpoint, directory),
            "boto3": peers.boto3(endpoint),
            "s5cmd": peers.s5cmd(endpoint),
            "plain-put": peers.plain_put(endpoint),
            "plain-put-sha256": peers.plain_put_sha256(endpoint),
        }
        os.sync()
        memory = {name: _once(upload, instance.vmcore, samples_memory=True) for name, upload in clients.items()}
        timed: dict[str, list[Usage]] = {name: [] for name in clients}
        for _ in range(runs):
            for name, upload in clients.items():
                timed[name].append(_once(upload, instance.vmcore, samples_memory=False))
    plain = statistics.median(usage.seconds for usage in timed["plain-put"])
    for name, usages in timed.items():
        seconds = statistics.median(usage.seconds for usage in usages)
        yield {
            "client": name,
            "size_bytes": size_bytes,
            "mb_per_s": round(size_bytes / seconds / 1e6, 1),
            "cpu_seconds": round(statistics.median(usage.cpu_seconds for usage in usages), 3),
            "peak_rss_bytes": memory[name].peak_rss_bytes,
            "peak_pss_bytes": memory[name].peak_pss_bytes,
            "seconds": round(seconds, 3),
            "ratio_to_plain_put": round(plain / seconds, 3),
        }


def _once(upload: Callable[[Meter, Path], None], file: Path, *, samples_memory: bool) -> Usage:
    meter = Meter(samples_memory=samples_memory)
    upload(meter, file)
    return meter.usage()


@contextmanager
def _directory_for(size_bytes: int) -> Iterator[Path]:
    """In memory when there is plenty of it, so that no disk is measured; else on the disk, read from the page cache."""
    shared = Path("/dev/shm")  # noqa: S108 - that it is memory is the point
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(meminfo["MemAvailable"].split()[0]) * 1024
    is_roomy = shared.is_dir() and min(available, shutil.disk_usage(shared).free) > 2 * size_bytes + GIB
    with tempfile.TemporaryDirectory(prefix="hangdump-bench-", dir=shared if is_roomy else None) as directory:
        yield Path(directory)
