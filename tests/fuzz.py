"""A fuzz: many runs, each made of the seed and its number alone, so that a failure can be repeated by both.

`FUZZ_RUNS` says how many, `FUZZ_SEED` which, `FUZZ_FIRST` from which number on: `FUZZ_FIRST=1234 FUZZ_RUNS=1` repeats
run 1234 alone. A run that failed becomes a test of its own, because a later change of the mutations gives its number
another input.
"""

import json
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

RUNS = int(os.environ.get("FUZZ_RUNS", "400"))
SEED = os.environ.get("FUZZ_SEED", "1")
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
RESULTS = Path(__file__).resolve().parents[1] / "results"
# The rest would most likely fail for the same reasons.
_MOST_FAILURES = 10

Input = TypeVar("Input")


class TakesTooLong(BaseException):
    """No Exception: what is under test must not catch it."""


@dataclass
class _Figures:
    runs: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    slowest_run: int = 0
    largest_memory_bytes: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Fuzz(Generic[Input]):
    """`make` invents an input, `judge` raises when what comes of it is wrong, `saved` is the input as a file."""

    name: str
    make: Callable[[random.Random], Input]
    judge: Callable[[Input], None]
    saved: Callable[[Input], bytes]
    # Of processor time, because other work may be on the machine.
    most_seconds: float
    most_memory_bytes: int

    def run(self) -> None:
        """Raises AssertionError, which names the seed, the runs that failed, and the files with their inputs."""
        figures, began, memory = _Figures(), time.perf_counter(), _Memory()
        for number in range(FIRST, FIRST + RUNS):
            chance = random.Random(f"{SEED} {self.name} {number}")  # noqa: S311 - repeatable on purpose
            made = self.make(chance)
            problem = self._judge(made, number, figures)
            figures.runs += 1
            taken = memory.taken_bytes()
            figures.largest_memory_bytes = max(figures.largest_memory_bytes, taken)
            if taken > self.most_memory_bytes:
                problem, memory = f"{problem} It takes {taken} bytes of memory.", _Memory()
            if problem:
                figures.failures.append(f"run {number}: {problem} Its input: {self._save(made, number)}")
            if len(figures.failures) >= _MOST_FAILURES:
                break
        figures.seconds = time.perf_counter() - began
        if os.environ.get("UPDATE_SNAPSHOTS"):
            _note(self.name, figures)
        assert not figures.failures, "\n".join([f"{self.name}, seed {SEED}:", *figures.failures])

    def _judge(self, made: Input, number: int, figures: _Figures) -> str:
        problem, began = "", time.process_time()
        try:
            with _limited(self.most_seconds):
                self.judge(made)
        except (Exception, TakesTooLong) as error:
            problem = f"{type(error).__name__}: {str(error)[:500]}."
        seconds = time.process_time() - began
        if seconds > figures.slowest_seconds:
            figures.slowest_seconds, figures.slowest_run = seconds, number
        return problem

    def _save(self, made: Input, number: int) -> Path:
        path = RESULTS / "fuzz" / f"{self.name}-{SEED}-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.saved(made))
        return path


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TakesTooLong(f"it takes more than {seconds:g} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class _Memory:
    """How far the process's peak rises above what it has now."""

    def __init__(self) -> None:
        # Linux lets the peak begin anew.
        Path("/proc/self/clear_refs").write_text("5")
        self._before = _peak_bytes()

    def taken_bytes(self) -> int:
        return _peak_bytes() - self._before


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _note(name: str, figures: _Figures) -> None:
    """Into results/fuzz.json, beside the other fuzzes; a shorter run, of whoever writes other snapshots, is no news."""
    file = RESULTS / "fuzz.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if figures.runs < known.get(name, {}).get("runs", 0):
        return
    known[name] = {
        "seed": SEED,
        "runs": figures.runs,
        "failures": len(figures.failures),
        "seconds": round(figures.seconds, 1),
        "slowest_seconds": round(figures.slowest_seconds, 3),
        "slowest_run": figures.slowest_run,
        "largest_memory_bytes": figures.largest_memory_bytes,
    }
    file.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
