"""Each class of crash on a real kernel: triage and analysis name the class, the task and the function that did it."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from analysis.analyze import analyze_file
from analysis.compare_with_crash import compare, stacks_by_crash
from analysis.debuginfo import Sources
from lab.guest.saved_state import restored
from lambdas.triage import triage
from lambdas.triage.blame import function_name
from tests.guest import crash_module
from tests.guest.crash_classes import CRASH_CLASSES, PAGE, Finding, Row, page
from tests.guest.crash_guest import CrashClass, Dump, crash_guest
from tests.guest.kernel_packages import KernelPackages, ensure_kernel_packages

pytestmark = pytest.mark.guest
EACH = pytest.mark.parametrize("crash", CRASH_CLASSES, ids=lambda crash: crash.name)
# A crash kernel has one processor: two guests share two of them well.
_AT_ONCE = 2

Dumps = Mapping[str, Future[Dump]]


@pytest.fixture(scope="module")
def kernel(armed_state: Path, tmp_path_factory: pytest.TempPathFactory) -> KernelPackages:
    with restored(armed_state, tmp_path_factory.mktemp("kernel") / "guest", s3_port=9) as guest:
        release = guest.run("#!/bin/sh\nuname -r\n", environment={}, timeout_seconds=60).stdout.strip()
    return ensure_kernel_packages(release)


@pytest.fixture(scope="module")
def module(kernel: KernelPackages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crash_module.build(kernel.headers, tmp_path_factory.mktemp("module") / "built")


@pytest.fixture(scope="module")
def dumps(armed_state: Path, module: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dumps]:
    """Still being made while the first are read; one that could not be made fails its own tests."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield {
            crash.name: pool.submit(
                crash_guest, crash, state=armed_state, module=module, workdir=tmp_path_factory.mktemp(crash.name)
            )
            for crash in CRASH_CLASSES
        }
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def analyses(dumps: Dumps, kernel: KernelPackages, module: Path) -> "Analyses":
    return Analyses(dumps, Sources(vmlinux=kernel.vmlinux, directory=module.parent))


class Analyses:
    """analysis.json of each dump, made when first asked for."""

    def __init__(self, dumps: Dumps, sources: Sources) -> None:
        self._dumps = dumps
        self._sources = sources
        self._known: dict[str, Mapping[str, Any]] = {}

    def of(self, crash: CrashClass) -> Mapping[str, Any]:
        if crash.name not in self._known:
            self._known[crash.name] = analyze_file(self._dumps[crash.name].result().vmcore, self._sources)
        return self._known[crash.name]


def by_triage(dump: Dump) -> Finding:
    told = triage(dump.dmesg)
    assert told.task is not None, dump.dmesg[-3000:]
    return Finding(told.crash_class, told.task.name, function_name(told.blamed.symbol) if told.blamed else "")


def by_analysis(analysis: Mapping[str, Any]) -> Finding:
    culprit = analysis["culprit"]
    assert culprit, analysis["problems"]
    return Finding(culprit["crashClass"], culprit["task"]["name"], culprit["function"])


@EACH
def test_triage_names_class_task_and_function_from_the_log_alone(crash: CrashClass, dumps: Dumps) -> None:
    task, function = crash.victim or (crash.task, crash.function)
    assert by_triage(dumps[crash.name].result()) == Finding(crash.one_of or crash.name, task, function)


@EACH
def test_analysis_names_class_task_and_function_of_who_really_caused_it(crash: CrashClass, analyses: Analyses) -> None:
    analysis = analyses.of(crash)
    assert by_analysis(analysis) == Finding(crash.one_of or crash.name, crash.task, crash.function)
    # The symbols' package is not unpacked whole: of Debian's own modules there are none.
    assert [each for each in analysis["problems"] if not each.startswith("no debuginfo of the modules")] == []
    assert triage(analysis["log"]).crash_class == (crash.one_of or crash.name)


# By an NMI, which finds the other CPU at rest or waiting for this one. Those of a timer's interrupt and of an exception
# are in tests/analysis, from real dumps: there journald may just be writing what the kernel said. crash takes 10 s.
def test_the_stacks_of_all_cpus_are_those_that_crash_prints(
    analyses: Analyses, dumps: Dumps, kernel: KernelPackages
) -> None:
    (crash,) = (each for each in CRASH_CLASSES if each.name == "nmi-hang")
    printed = stacks_by_crash(kernel.vmlinux, dumps[crash.name].result().vmcore)
    compared = compare(analyses.of(crash)["cpus"], printed)
    assert len(compared) == 2
    assert [str(each) for each in compared if not each.is_same] == []


def test_the_page_says_what_is_found_today(dumps: Dumps, analyses: Analyses, kernel: KernelPackages) -> None:
    rows = [
        Row(crash, triage=by_triage(dumps[crash.name].result()), analysis=by_analysis(analyses.of(crash)))
        for crash in CRASH_CLASSES
    ]
    # Without the ABI, which changes every few weeks: 6.1.0-56-cloud-amd64
    today = page(rows, kernel=".".join(kernel.release.split(".")[:2]))
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(today)
    assert PAGE.read_text() == today, "run this file with UPDATE_SNAPSHOTS=1 and commit docs/crash-classes.md"
