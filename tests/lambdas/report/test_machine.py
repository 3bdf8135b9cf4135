"""The machine, and what its kernel says of itself, in words."""

import pytest

from lambdas.report import render
from lambdas.report.text import taint_in_words
from lambdas.triage import triage
from tests.lambdas.report import incidents


@pytest.mark.parametrize(
    ("taint", "words"),
    [
        ("G D OE", "G D OE: oops before, out-of-tree module, unsigned module"),
        ("G           OE", "G OE: out-of-tree module, unsigned module"),
        ("Not tainted", "Not tainted"),
        ("G", "G"),
        ("", ""),
    ],
)
def test_a_taint_is_told_in_words(taint: str, words: str) -> None:
    assert taint_in_words(taint) == words


@pytest.mark.parametrize(
    "line", ["smp: Brought up 1 node, 96 CPUs", "x86: Booted up 2 nodes, 96 CPUs", "Brought up 96 CPUs"]
)
def test_the_log_says_how_many_cpus_there_are(line: str) -> None:
    told = triage(f"[    0.1] Linux version 6.1.0-28-amd64 (builder) #1 SMP\n[    0.2] {line}\n")
    assert told.cpu_count == 96
    assert "x86_64, 96 CPUs" in render(incidents.CAPTURED, told)
