"""bench.capture: a collector that brings nothing home costs no other row, and leaves its guest to nobody."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import capture
from bench.capture import Capture
from infra import read_settings as settings
from lab.deployment import LAB_SETTINGS

FIGURES = {"dump_seconds": 9.5, "bytes": 40_000_000, "interrupt_to_object_seconds": 81}


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The releases of the guests that were booted; no guest is."""
    booted: list[str] = []

    @contextmanager
    def instance(release: str, _assembly: Path, _consoles: Path) -> Iterator[str]:
        booted.append(release)
        yield release

    def measured(_instance: Any, measured: Capture) -> dict[str, Any]:
        if measured.level == 0:
            raise capture.NotCaptured("CollectVmcore FAILED: incomplete: the dump was cut short")
        return dict(FIGURES)

    monkeypatch.setattr(capture, "_instance", instance)
    monkeypatch.setattr(capture, "_measured", measured)
    monkeypatch.setattr(capture, "synthesize_for_lab", lambda folder, _settings: folder)
    monkeypatch.setattr(capture, "plot", lambda *_: None)
    return booted


def test_collector_that_fails_has_a_row_with_its_reason_and_the_others_have_figures(
    guests: list[str], tmp_path: Path
) -> None:
    capture.measure(tmp_path, runs=2)

    rows = json.loads((tmp_path / "capture.json").read_text())
    assert len(rows) == 2 * len(capture.CAPTURES)
    # After the first one has failed its guest is not used again.
    assert guests == ["bookworm", "bookworm", "trixie"] * 2
    for row in rows:
        if row["core_collector"].endswith("-d 0"):
            assert row["error"] == "NotCaptured: CollectVmcore FAILED: incomplete: the dump was cut short"
            assert [row[key] for key in FIGURES] == [None, None, None]
        else:
            assert {key: row[key] for key in FIGURES} == FIGURES


def test_the_seed_procedure_and_the_default_are_compared_on_one_release() -> None:
    by_name = {(each.core_collector, each.release) for each in capture.CAPTURES}
    assert {("makedumpfile -c -d 0", "bookworm"), ("makedumpfile -l -d 31", "bookworm")} <= by_name


def test_every_row_sets_what_it_is_called_by() -> None:
    assert Capture("-l --num-threads 2", 31).provision_input() == {
        "coreCollector": "makedumpfile -l --num-threads 2 --message-level 7",
        "dumpLevel": 31,
        "reboot": True,
    }


def test_the_lab_takes_the_settings_of_the_captures() -> None:
    settings.load({**LAB_SETTINGS, **capture.SETTINGS})
