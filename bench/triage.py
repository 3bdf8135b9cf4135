"""Measures triage: time and memory for logs of given sizes, each in a process of its own, like a Lambda function."""

import json
import re
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
# Far more than triage reads (4 MiB), as from a machine that printed traces for hours.
DENSE_BYTES = 20 * 10**6
BLOCKED_TASKS = 5_000
# Whose traces stand back to back in the dense log.
DENSE = ("general-protection-fault", "null-dereference", "soft-lockup-real-guest", "rcu-stall", "hung-task")
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


# "[  725.511230] " before each line, and the pids of one round of the dense traces
_STAMP = re.compile(r"^\[ *\d+\.\d+\]", re.MULTILINE)
_PID = re.compile(r"(?<= PID: )\d+|(?<= pid:)\d+|(?<=\w:)\d+(?= blocked for)")
_BLOCKED = """\
[{at:12.6f}] INFO: task worker-{pid}:{pid} blocked for more than {seconds} seconds.
[{at:12.6f}]       Not tainted 6.1.0-56-cloud-amd64 #1 Debian 6.1.192-2
[{at:12.6f}] task:worker-{pid} state:D stack:0     pid:{pid} ppid:1990   flags:0x00000002
[{at:12.6f}] Call Trace:
[{at:12.6f}]  <TASK>
[{at:12.6f}]  __schedule+0x34d/0x9e0
[{at:12.6f}]  schedule+0x5a/0xd0
[{at:12.6f}]  schedule_preempt_disabled+0x11/0x20
[{at:12.6f}]  rwsem_down_write_slowpath+0x1eb/0x5d0
[{at:12.6f}]  {function}+0x33/0x150 [ext4]
[{at:12.6f}]  vfs_write+0x233/0x3f0
[{at:12.6f}]  ksys_pwrite64+0x63/0x80
[{at:12.6f}]  do_syscall_64+0x55/0xb0
[{at:12.6f}]  entry_SYSCALL_64_after_hwframe+0x6e/0xd8
[{at:12.6f}] RIP: 0033:0x7f3c1a914d1f
[{at:12.6f}]  </TASK>
"""
_FUNCTIONS = ("ext4_buffered_write_iter", "ext4_truncate", "ext4_evict_inode", "ext4_rename2")


@dataclass(frozen=True)
class Log:
    """The logs by name."""

    name: str
    text: str


def logs(sizes_bytes: Sequence[int]) -> Iterator[Log]:
    """The tests' corpus repeated up to each size, hostile logs of the first size, dense traces, blocked tasks."""
    corpus = "".join(path.read_text() for path in sorted(LOGS.glob("*.txt")))
    for size in sizes_bytes:
        yield Log("corpus", (corpus * (size // len(corpus) + 1))[:size])
    for piece in HOSTILE:
        yield Log(f"only {piece.strip()!r}", (piece * (sizes_bytes[0] // len(piece) + 1))[: sizes_bytes[0]])
    yield Log("dense traces", dense_traces(DENSE_BYTES))
    yield Log(f"{BLOCKED_TASKS} blocked tasks", blocked_tasks(BLOCKED_TASKS))


def dense_traces(size_bytes: int) -> str:
    """Oopses, lockups, stalls and blocked tasks back to back, each time of other tasks, all within a minute."""
    corpus = "".join(_before_the_panic((LOGS / f"{name}.txt").read_text()) for name in DENSE)
    rounds: list[str] = []
    length = 0
    while length < size_bytes:
        number = len(rounds)
        rounds.append(_PID.sub(lambda found, number=number: f"{int(found[0]) + 7 * number}", corpus))  # type: ignore[misc]
        rounds[-1] = _STAMP.sub(f"[{1000 + number / 1000:12.6f}]", rounds[-1])
        length += len(rounds[-1])
    return "".join(rounds) + _end("hung_task: blocked tasks")


def blocked_tasks(count: int) -> str:
    """That many tasks that wait for a lock of a file system, in a log that is short enough to be read whole."""
    tasks = (
        _BLOCKED.format(
            at=1000 + number / 1000, pid=2000 + number, seconds=120 + number % 7, function=_FUNCTIONS[number % 4]
        )
        for number in range(count)
    )
    return "".join(tasks) + _end("hung_task: blocked tasks")


def _before_the_panic(log: str) -> str:
    """Without the boot's banner, and without the panic: what follows the first one does not count."""
    lines = [line for line in log.splitlines(keepends=True) if "] Linux version " not in line]
    end = next((place for place, line in enumerate(lines) if "Kernel panic" in line), len(lines))
    return "".join(lines[:end])


def _end(message: str) -> str:
    return (
        f"[ 2000.000000] Kernel panic - not syncing: {message}\n"
        "[ 2000.000001] CPU: 1 PID: 38 Comm: khungtaskd Not tainted 6.1.0-56-cloud-amd64 #1\n"
    )


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
