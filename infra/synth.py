"""Synthesizes the app from Python: for app.py, the tests and the lab. Needs no credentials, no Docker, and once the
functions' dependencies are cached, no network."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks

from infra import read_settings as settings
from infra.stack import HangdumpStack

ROOT = Path(__file__).resolve().parent.parent
STACK_NAME = "Hangdump"
TEMPLATE = f"{STACK_NAME}.template.json"


def synthesize(outdir: Path, overrides: Mapping[str, Any]) -> Path:
    """Write the cloud assembly with some settings changed; returns outdir, which then holds TEMPLATE and the assets.

    Raises SettingsError for a wrong setting, and RuntimeError when a check (cdk-nag, CDK's own) finds something.
    """
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    context[settings.CONTEXT_KEY] = {**context[settings.CONTEXT_KEY], **overrides}
    return synthesize_context(outdir, context)


def synthesize_context(outdir: Path, context: Mapping[str, Any]) -> Path:
    """The same from a whole context; what the CDK CLI passes by environment wins over it."""
    app = cdk.App(outdir=str(outdir), context=dict(context), analytics_reporting=False)
    HangdumpStack(app, STACK_NAME, settings=settings.load(app.node.try_get_context(settings.CONTEXT_KEY)))
    check(app)
    app.synth()
    return outdir


def check(app: cdk.App) -> None:
    """Let cdk-nag look at what the app synthesizes; a finding that nobody acknowledged fails the synthesis."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True), NIST80053R5Checks(app, verbose=True))
