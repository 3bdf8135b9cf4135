"""Below the JSON, the command says what the report says: the same headline, the same groups."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from analysis import __main__ as program
from analysis import analyze as module
from analysis.summary import summarize
from lambdas.analyze.manifest import pack
from lambdas.report.analysis_model import read_analysis
from lambdas.report.page import Exhibits, compose
from lambdas.triage import triage
from tests.lambdas.report import incidents
from tests.lambdas.triage.triage_cases import CASES, read

WAITING, HOLDING = ("queued_spin_lock_slowpath", "_raw_spin_lock", "dentry_unlink"), ("example_hold", "example_purge")


def _of_a_crowd() -> dict[str, Any]:
    """Of a dump as drgn reads it: all CPUs wait but one, and tasks are blocked behind them."""

    def frames(*names: str) -> list[dict[str, Any]]:
        return [{"function": name, "file": "fs/dcache.c", "line": 1, "module": "", "symbol": name} for name in names]

    cpus = [
        {"cpu": cpu, "task": {"name": "rm", "pid": 4000 + cpu}, "backtrace": frames(*WAITING)}
        if cpu != 211
        else {"cpu": cpu, "task": {"name": "kworker/211:1", "pid": 5211}, "backtrace": frames(*HOLDING)}
        for cpu in range(384)
    ]
    blocked = [
        {"name": f"postgres-{pid}", "pid": pid, "seconds": 125.0, "backtrace": frames("schedule", "jbd2_log_wait")}
        for pid in range(18)
    ]
    return {"log": incidents.crowd_log(384), "cpus": cpus, "blockedTasks": blocked}


def test_the_cpus_are_grouped_by_stack_with_the_rarest_first() -> None:
    lines = summarize(_of_a_crowd())
    begin = lines.index("CPUs: 383 CPUs wait in dentry_unlink; CPU 211 runs example_hold.")
    assert lines[begin + 1].startswith("  CPU 211, interrupted here · runs example_hold · kworker/211:1 (5211)")
    assert lines[begin + 2].startswith("  383 CPUs: 0\u2013210, 212\u2013383")
    assert lines[begin + 2].endswith(" · waits in dentry_unlink · rm (4000) and 382 more")


def test_the_blocked_tasks_are_counted_by_task_and_function() -> None:
    lines = summarize(_of_a_crowd())
    begin = lines.index("Blocked tasks: 18")
    assert lines[begin + 1].startswith("  18 postgres-0 · in jbd2_log_wait · up to ")


@pytest.mark.parametrize("name", [name for name in CASES if "real-guest" in name])
def test_the_headline_is_that_of_the_report(name: str) -> None:
    analysis = {"log": read(name)}
    page = compose(incidents.CAPTURED, triage(read(name)), analysis, None, exhibits=Exhibits())
    assert summarize(analysis)[0] == page.cause


def test_the_groups_are_those_of_the_report() -> None:
    analysis = _of_a_crowd()
    page = compose(incidents.CAPTURED, triage(analysis["log"]), analysis, None, exhibits=Exhibits())
    lines = summarize(analysis)
    assert page.processors.sentence in lines[1]
    assert all(any(group.title in line for line in lines) for group in page.processors.groups)
    assert all(any(f"{group.count} {group.name}" in line for line in lines) for group in page.blocked.groups)


def test_a_name_gives_the_terminal_no_orders() -> None:
    analysis = {"cpus": [{"cpu": 0, "task": {"name": "\x1b[2Jrm", "pid": 1}, "backtrace": [{"function": "spin"}]}]}
    assert all(line.isprintable() for line in summarize(analysis))


@pytest.mark.parametrize("analysis", [{}, {"log": None, "cpus": 3, "blockedTasks": [None]}], ids=["empty", "odd"])
def test_an_analysis_without_its_parts_has_a_headline(analysis: dict[str, Any]) -> None:
    assert summarize(analysis) == ["The log in the dump shows no crash."]
    assert read_analysis(analysis).cpus == ()


@pytest.mark.parametrize("is_to_file", [False, True], ids=["printed", "to a file"])
def test_the_json_stays_alone_on_standard_output(
    is_to_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a recorded analysis: making one needs the symbols of a kernel."""
    out, recorded = tmp_path / "out", _of_a_crowd()
    monkeypatch.setattr(module, "analyze_file", lambda *_: recorded)
    assert program.analyze(["vmcore", *(["--json", str(out)] if is_to_file else [])]) == 0
    said = capsys.readouterr()
    assert json.loads(out.read_text() if is_to_file else said.out) == recorded
    assert said.err.endswith("\n".join(["", *summarize(recorded), ""]))


def test_an_analysis_host_has_no_summary_and_no_complaint(tmp_path: Path) -> None:
    """It has the package alone, as it is sent there."""
    bundle = tmp_path / "analysis.zip"
    bundle.write_bytes(pack())
    assert "analysis/summary.py" in zipfile.ZipFile(io.BytesIO(pack())).namelist()
    code = "from analysis.__main__ import print_summary; print_summary({'log': ''})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(bundle)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
