"""What several areas' tests share: the synthesized assembly, once a session."""

from pathlib import Path

import pytest

from infra.synth import synthesize


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that `python app.py` would write, with the default settings: template and assets."""
    return synthesize(tmp_path_factory.mktemp("cdk.out"), {})
