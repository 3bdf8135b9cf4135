"""Repeats of one trouble have one signature."""

import re

import pytest

from lambdas.triage import triage
from lambdas.triage.blame import function_name
from tests.lambdas.triage.triage_cases import CASES, read

UNKNOWN = (
    *("hung-task-nobody-named", "hung-task-nobody-named-redhat7", "machine-check", "warnings-only"),
    *("idle-cpu-and-nothing-else", "idle-cpu-and-nothing-else-redhat7", "log-of-a-kernel-that-goes-on"),
    *("log-that-stops-in-the-middle-arm64", "idle-cpu-long-after-a-soft-lockup", "machine-check-redhat9"),
)
KNOWN = sorted(name for name in CASES if name not in UNKNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_a_repeat_on_another_day_and_build_has_the_same(name: str) -> None:
    log = read(name)
    repeat = re.sub(r"\+0x[0-9a-f]+/0x[0-9a-f]+", "+0x999/0xabc", log)
    repeat = re.sub(r"pid:(\d+)", r"pid:1\1", re.sub(r"PID: (?!0 )(\d+)", r"PID: 1\1", repeat))
    repeat = re.sub(r" P(\d+)", r" P1\1", repeat)
    repeat = re.sub(r"(?m)^\[ *(\d+)\.", r"[ 9\1.", repeat)
    assert triage(repeat).signature == triage(log).signature != ""


def test_no_two_troubles_of_the_corpus_share_one() -> None:
    by_signature: dict[str, set[tuple[str, str]]] = {}
    for name in KNOWN:
        told = triage(read(name))
        what = (told.crash_class.value, told.blamed.symbol if told.blamed else "")
        by_signature.setdefault(told.signature, set()).add(what)
    assert all(len(troubles) == 1 for troubles in by_signature.values())


@pytest.mark.parametrize("name", UNKNOWN)
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


def test_hung_disks_have_one_whichever_task_was_found_first() -> None:
    logs = ("hung-tasks-journal-first", "hung-tasks-cron-first")
    assert len({triage(read(name)).signature for name in logs}) == 1


def test_two_hangs_that_both_hit_an_idle_cpu_differ_by_what_hung() -> None:
    logs = ("nmi-on-idle-cpu-disk-stalled", "nmi-on-idle-cpu-network-reset", "nmi-on-idle-cpu-after-an-oops")
    assert len({triage(read(name)).signature for name in logs}) == len(logs)


def test_an_idle_cpu_and_nothing_else_has_none() -> None:
    """Otherwise all hangs that the interrupt found idle would be one."""
    log = read("nmi-on-idle-cpu-disk-stalled")
    told = triage("".join(line for line in log.splitlines(keepends=True) if " 4340." not in line))
    assert (told.signature, told.blamed) == ("", None)
    assert told.sentence == "The machine hung: CPU 0 was idle at the interrupt, and the log names no other trouble."


def test_a_process_that_ate_all_memory_is_the_trouble_whoever_asked_last() -> None:
    log = read("out-of-memory-6.8-columns")
    other = log.replace("filemap_", "shmem_").replace("kubelet", "sshd").replace(" 2210", " 811")
    assert triage(other).signature == triage(log).signature
    assert triage(log.replace(" java", " mysqld")).signature != triage(log).signature


@pytest.mark.parametrize("function", ["copy_page_to_iter", "ext4_map_blocks"])
def test_what_a_cpu_did_when_its_hardware_failed_is_chance(function: str) -> None:
    log = read("machine-check-redhat9")
    busy = log.replace("swapper/6", "java").replace("PID: 0 ", "PID: 77 ").replace("native_safe_halt", function)
    assert triage(busy).signature == triage(log).signature == ""
