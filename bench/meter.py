"""Measures a client: time, CPU seconds and memory of its processes, without the server and the broker."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.command_line import UserError

SAMPLE_SECONDS = 0.02


class ClientFailed(UserError):
    """A client failed: there is nothing to measure."""


@dataclass(frozen=True)
class Usage:
    """The figures of one upload."""

    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    peak_pss_bytes: int


class Meter:
    """Counts every process that is run through it, from the first to the last.

    Memory is the highest sum over a process and all its descendants, sampled from /proc every 20 ms: of their resident
    sets, where shared pages count once for each process, and of their proportional sets, where they are shared out.
    Sampling takes CPU time, so `samples_memory` is for runs that are not timed.
    """

    def __init__(self, *, samples_memory: bool, cgroup: Path | None = None) -> None:
        """`cgroup`: in which the processes run."""
        self._samples_memory = samples_memory
        self._cgroup = cgroup
        self._began = time.perf_counter()
        self._cpu_seconds = 0.0
        self._peak_rss_bytes = self._peak_pss_bytes = 0

    def run(self, arguments: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
        """Its stdout; raises ClientFailed with what it said."""
        with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
            if self._cgroup is not None:
                # sh moves itself there and becomes the client.
                enter = f'echo $$ > "{self._cgroup}/cgroup.procs"; exec "$@"'
                arguments = ["sh", "-c", enter, "sh", *arguments]
            process = subprocess.Popen(  # noqa: SIM115, RUF100 - wait4 below reaps it
                arguments, env={**os.environ, **(environment or {})}, stdout=stdout, stderr=stderr, text=True
            )
            status = self._wait(process.pid)
            process.returncode = os.waitstatus_to_exitcode(status)
            stdout.seek(0)
            stderr.seek(0)
            said = stdout.read()
            if process.returncode:
                raise ClientFailed(f"{Path(arguments[0]).name}: {process.returncode}\n{said}\n{stderr.read()}")
            return said

    def usage(self) -> Usage:
        """So far."""
        return Usage(time.perf_counter() - self._began, self._cpu_seconds, self._peak_rss_bytes, self._peak_pss_bytes)

    def _wait(self, pid: int) -> int:
        while True:
            done, status, used = os.wait4(pid, os.WNOHANG if self._samples_memory else 0)
            if done:
                self._cpu_seconds += used.ru_utime + used.ru_stime
                return status
            rss_bytes, pss_bytes = tree_memory(pid)
            self._peak_rss_bytes = max(self._peak_rss_bytes, rss_bytes)
            self._peak_pss_bytes = max(self._peak_pss_bytes, pss_bytes)
            time.sleep(SAMPLE_SECONDS)


def tree_memory(pid: int) -> tuple[int, int]:
    """Resident and proportional bytes of a process and its descendants; 0 for processes that have ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = [int(child) for task in os.listdir(f"/proc/{pid}/task") for child in _children(pid, task).split()]
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    # Rss:                5484 kB
    sizes = dict(re.findall(r"^(\w+): +(\d+) kB$", rollup, re.MULTILINE))
    family = [tree_memory(child) for child in children]
    rss_bytes = int(sizes.get("Rss", 0)) * 1024 + sum(rss for rss, _ in family)
    return rss_bytes, int(sizes.get("Pss", 0)) * 1024 + sum(pss for _, pss in family)


def _children(pid: int, task: str) -> str:
    return Path(f"/proc/{pid}/task/{task}/children").read_text()
