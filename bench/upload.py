"""upload_vmcore, as assembled, against one plain PUT of the same file by curl: the most that this machine can do.

Interleaved runs against one server; medians. What is timed of Hangdump is all of it: the digests, then the upload.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssm_documents.assemble import assemble, script_of

SIZES_BYTES = (64 * 1024**2, 512 * 1024**2)
RUNS = 5


@dataclass(frozen=True)
class Run:
    """One timed upload; CPU time is the client's alone."""

    seconds: float
    cpu_seconds: float


def measure(upload: Callable[[], None]) -> Run:
    """Time one upload; the children that it waited for are its CPU time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    upload()
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


class Instance:
    """A directory with one dump in it, and the document that uploads it."""

    def __init__(self, root: Path, size_bytes: int, url: str) -> None:
        self._root, self._url = root, url
        self._script = root / "upload_vmcore.sh"
        self._script.write_text(script_of(assemble("upload_vmcore")))
        self._script.chmod(0o755)
        kernel = root / "proc" / "sys" / "kernel"
        (kernel / "random").mkdir(parents=True)
        (kernel / "random" / "boot_id").write_text("00000000-0000-4000-8000-000000000001\n")
        (kernel / "osrelease").write_text("6.1.0\n")
        (root / "proc" / "stat").write_text("btime 1795400000\n")
        (root / "run").mkdir()
        self.vmcore = root / "var" / "crash" / "202611230400" / "dump.202611230400"
        self.vmcore.parent.mkdir(parents=True)
        with self.vmcore.open("wb") as dump:
            for _ in range(size_bytes // 2**20):
                dump.write(os.urandom(2**20))

    def upload_by_document(self) -> None:
        """find, then upload what it found."""
        found = self._run(action="find")["vmcore"]
        lines = []
        for index, digest in enumerate(found["partDigests"]):
            offset = index * found["partBytes"]
            length = min(found["partBytes"], found["sizeBytes"] - offset)
            lines.append(
                f"part\t{index + 1}\t{offset}\t{length}\t{digest}\t{self._url}/vmcore?partNumber={index + 1}\n"
            )
        manifest = self._root / "manifest"
        manifest.write_text("".join(lines))
        _put(manifest, f"{self._url}/manifest")
        self._run(
            action="upload",
            manifestUrl=f"{self._url}/manifest?once=1",
            vmcorePath=found["path"],
            sizeBytes=str(found["sizeBytes"]),
            modifiedEpoch=str(found["modifiedEpoch"]),
        )

    def upload_by_plain_put(self) -> None:
        """One connection, no digest."""
        _put(self.vmcore, f"{self._url}/vmcore")

    def _run(self, **parameters: str) -> dict[str, Any]:
        defaults = {name: each["default"] for name, each in assemble("upload_vmcore")["parameters"].items()}
        environment = {f"SSM_{name}": value for name, value in {**defaults, **parameters}.items()}
        done = subprocess.run(
            ["sh", "-c", str(self._script)],
            env={**os.environ, **environment, "HOST_ROOT": str(self._root)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"upload_vmcore failed: {done.stdout} {done.stderr}")
        report: dict[str, Any] = json.loads(done.stdout)
        return report


def _put(path: Path, url: str) -> None:
    subprocess.run(["curl", "-sf", "-H", "Expect:", "-o", "/dev/null", "-T", str(path), url], check=True)


@contextmanager
def _sink() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-m", "bench.sink"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101 - PIPE was asked for
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def rows() -> Iterator[dict[str, float | int | str]]:
    """One row a client and size: medians of interleaved runs, and the ratio to the plain PUT."""
    with _sink() as url:
        for size_bytes in SIZES_BYTES:
            with tempfile.TemporaryDirectory() as root:
                instance = Instance(Path(root), size_bytes, url)
                clients = {"hangdump": instance.upload_by_document, "plain-put": instance.upload_by_plain_put}
                runs: dict[str, list[Run]] = {name: [] for name in clients}
                for _ in range(RUNS):
                    for name, upload in clients.items():
                        runs[name].append(measure(upload))
            plain = statistics.median(run.seconds for run in runs["plain-put"])
            for name, taken in runs.items():
                seconds = statistics.median(run.seconds for run in taken)
                yield {
                    "client": name,
                    "size_bytes": size_bytes,
                    "mb_per_s": round(size_bytes / seconds / 1e6, 1),
                    "cpu_seconds": round(statistics.median(run.cpu_seconds for run in taken), 2),
                    "speed_against_plain_put": round(plain / seconds, 2),
                }
