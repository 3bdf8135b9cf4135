"""Hangdump's own stack in the emulated account: the template that users deploy, with the lab's few settings."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.synth import TEMPLATE, synthesize
from lab.aws.account import LabAccount

# What differs from the defaults, and why.
LAB_SETTINGS: Mapping[str, Any] = {
    # The guest sees the account's S3 at this address (lab/guest/hardware.py).
    "uploadEndpointUrl": "http://10.0.2.100",
    # Nothing here is throttled or billed by the call; waiting in small steps keeps the demo short.
    "pollSeconds": 2,
    "probeTimeoutSeconds": 15,
    # Machines here are hung within minutes of their launch.
    "bootGraceSeconds": 0,
    # Short bounds keep the waits constant; long ones make them grow, to stay within an execution's history.
    "dumpTimeoutSeconds": 800,
    "dumpLimitSeconds": 800,
    "uploadTimeoutSeconds": 300,
    "documentTimeoutSeconds": 900,
}


def synthesize_for_lab(outdir: Path, overrides: Mapping[str, Any] | None = None) -> Path:
    """The cloud assembly with the lab's settings; returns outdir."""
    return synthesize(outdir, {**LAB_SETTINGS, **(overrides or {})})


def deploy_hangdump(account: LabAccount, assembly: Callable[[], Path]) -> dict[str, str]:
    """Create the stack from the assembly; its outputs by name."""
    folder = assembly()
    template = json.loads((folder / TEMPLATE).read_text(encoding="utf-8"))
    return account.deploy(template, folder)
