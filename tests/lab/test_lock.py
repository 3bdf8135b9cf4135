"""Who holds a lock is told to whoever wants it, and a process that dies leaves it free."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.lock import Held, locked, take

ROOT = Path(__file__).resolve().parents[2]
_HOLD = """
import sys
from pathlib import Path
from lab.lock import take
file = take(Path(sys.argv[1]))
print("held", flush=True)
input()
"""


def _holder(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_holder_is_named_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.lock"
    with _holder(path) as process:
        with pytest.raises(Held, match=rf"^process {process.pid}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC$"):
            take(path)
        process.kill()
    with take(path), pytest.raises(Held, match=f"process {os.getpid()},"):
        take(path)


def test_who_waits_says_for_whom(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    said: list[str] = []
    with _holder(path) as process:

        def say(line: str) -> None:
            said.append(line)
            process.kill()

        with locked(path, say):
            assert path.read_text().startswith(f"process {os.getpid()}, since ")
    assert said[0].startswith(f"waiting for process {process.pid}, since ")
    assert len(said) == 1
