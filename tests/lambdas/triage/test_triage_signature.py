"""Repeats of one trouble have one signature."""

import re

import pytest

from lambdas.triage import triage
from lambdas.triage.signature import function_name
from tests.lambdas.triage.triage_cases import CASES, read

KNOWN = sorted(name for name in CASES if name not in ("machine-check", "warnings-only"))


@pytest.mark.parametrize("name", KNOWN)
def test_a_repeat_on_another_day_and_build_has_the_same(name: str) -> None:
    log = read(name)
    repeat = re.sub(r"\+0x[0-9a-f]+/0x[0-9a-f]+", "+0x999/0xabc", log)
    repeat = re.sub(r"pid:(\d+)", r"pid:1\1", re.sub(r"PID: (?!0 )(\d+)", r"PID: 1\1", repeat))
    repeat = re.sub(r"(?m)^\[ *(\d+)\.", r"[ 9\1.", repeat)
    assert triage(repeat).signature == triage(log).signature != ""


def test_no_two_troubles_of_the_corpus_share_one() -> None:
    by_signature: dict[str, set[tuple[str, str]]] = {}
    for name in KNOWN:
        told = triage(read(name))
        what = (told.crash_class.value, told.call_trace[0].symbol if told.call_trace else "")
        by_signature.setdefault(told.signature, set()).add(what)
    assert all(len(troubles) == 1 for troubles in by_signature.values())


@pytest.mark.parametrize("name", ["machine-check", "warnings-only"])
def test_nothing_known_has_none(name: str) -> None:
    assert triage(read(name)).signature == ""


def test_a_lockup_has_the_same_on_both_architectures() -> None:
    arm64, x86_64 = (triage(read(name)) for name in ("soft-lockup-arm64", "soft-lockup-caller-ids-interleaved"))
    assert arm64.signature == x86_64.signature


@pytest.mark.parametrize(
    "symbol", ["spin", "spin.cold", "spin.isra.0", "spin.part.12.cold", "spin.constprop.0", "spin.llvm.4711", "spin.3"]
)
def test_what_compilers_append_does_not_count(symbol: str) -> None:
    assert function_name(symbol) == "spin"


def test_the_depth_of_a_recursion_does_not_count() -> None:
    log = read("stack-overflow")
    frame = "[   99.000055]  recurse_for_ever+0x3d/0x60 [hang_me]\n"
    assert triage(log.replace(frame, frame * 9)).signature == triage(log).signature
