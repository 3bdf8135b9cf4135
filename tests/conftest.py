"""What several areas' tests share: the synthesized assembly, once a run."""

import fcntl
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.synth import synthesize


def pytest_configure() -> None:
    """A shell makes what it runs in the background ignore Ctrl-C, and every process inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that `python app.py` would write, with the default settings: template and assets."""
    return synthesize_once(tmp_path_factory, "cdk.out", {})


def synthesize_once(tmp_path_factory: pytest.TempPathFactory, name: str, overrides: Mapping[str, Any]) -> Path:
    """By the first worker that asks; the others wait for it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder if folder.exists() else synthesize(folder, overrides)
