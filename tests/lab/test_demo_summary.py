"""The demo's last screen, as a pipe gets it."""

import io
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from lab.demo.drill_story import DrillOutcome
from lab.demo.proof import Culprit, Proof
from lab.demo.results import Results
from lab.demo.story import Outcome
from lab.demo.summary import summarize
from lab.demo.variant import Observed, Variant

KEY = "s3://hangdump-vmcores/vmcores/123456789012/eu-central-1/i-0123456789abcdef0/20261123T040000Z-i-0123456789abcdef0/vmcore"


PROOF = Proof("6.1.0-56-cloud-amd64", datetime(2026, 11, 23, 4, tzinfo=UTC), "NMI: Not continuing [0]", "")


def printed(outcome: Outcome | DrillOutcome, results: Results) -> list[str]:
    # Not a terminal: rich takes it for 80 columns wide.
    file = io.StringIO()
    summarize(Console(file=file, highlight=False, soft_wrap=True), outcome, results, total_seconds=200)
    return file.getvalue().splitlines()


def test_a_line_a_fact_and_a_long_key_in_one_piece(tmp_path: Path) -> None:
    results = Results(tmp_path / "run")
    outcome = Outcome(
        variant=Variant(),
        observed=Observed("bookworm", "xfs", reserved_mib=192, memory_mib=1000, times_stopped=0),
        key=KEY,
        size_bytes=37_000_000,
        dmesg_bytes=51_000,
        proof=PROOF,
        verdict={"verdict": "captured", "reason": ("complete and identical " * 10).strip()},
        seconds={"boot": 21.0},
        report=results.keep("report.html", ""),
        culprit=Culprit("hangdump-spinne", 0),
    )
    lines = printed(outcome, results)
    assert f"vmcore     {KEY}" in lines
    assert [line for line in lines if line != line.rstrip()] == []
    assert "verdict    captured: " + ("complete and identical " * 10).strip() in lines
    assert "panic      NMI: Not continuing [0], at 2026-11-23 04:00:00 UTC" in lines
    assert f"files      {tmp_path}/run/: executions, report.html" in lines


def test_a_drill_ends_with_its_twin_and_what_is_proven(tmp_path: Path) -> None:
    results = Results(tmp_path / "run")
    outcome = DrillOutcome(
        variant=Variant(),
        instance_id="i-0123456789abcdef0",
        drill={
            "twinId": "i-0fedcba9876543210",
            "imageId": "ami-1",
            "instanceType": "t3.micro",
            "kernel": "6.1.0-56-cloud-amd64",
            "detail": "captured: complete and identical",
            "seconds": {"launch": 120, "dump": 98},
            "vmcoreBytes": 37_000_000,
        },
        key=KEY,
        proof=PROOF,
        seconds={"boot": 21.0},
        report=results.keep("report.html", ""),
        culprit=Culprit("bash", 0),
    )
    lines = printed(outcome, results)
    assert "The vmcore of the twin is in the bucket, and it opens." in lines
    assert (
        "twin       i-0fedcba9876543210 of i-0123456789abcdef0: bookworm, xfs, reboot, 1024 MiB (t3.micro);"
        " nothing of it is left"
    ) in lines
    assert "phases     launch 120 s, dump 98 s" in lines
