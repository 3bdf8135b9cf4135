"""What several areas' tests share: the synthesized assembly, once a run."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.synth import synthesize


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
