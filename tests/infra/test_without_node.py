"""No machine needs Node on PATH: what runs aws_cdk brings its own, whichever module is imported first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
# What `make setup` and `make demo` import first.
@pytest.mark.parametrize(
    "module", ["infra.foundation.bundle", pytest.param("lab.deployment", marks=pytest.mark.nightly)]
)
def test_aws_cdk_starts_with_the_node_of_the_requirements_and_prints_nothing(module: str, tmp_path: Path) -> None:
    # jsii runs `node` unless JSII_NODE names another.
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho this is the old node on PATH >&2\nexit 1\n")
    node.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "JSII_NODE"} | {"PATH": str(tmp_path)}
    command = [sys.executable, "-c", f"import {module}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
