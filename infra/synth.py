"""Synthesizes the app for app.py, the tests and the lab. Needs no credentials and no Docker; once the functions'
dependencies are cached, it needs no network either."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks

from analysis.command_line import UserError
from infra import read_settings as settings
from infra.stack import HangdumpStack

ROOT = Path(__file__).resolve().parent.parent
STACK_NAME = "Hangdump"
TEMPLATE = f"{STACK_NAME}.template.json"


class SynthesisFailed(RuntimeError, UserError):
    """A check of cdk-nag or CDK failed, or CDK could not write the assembly."""


def synthesize(outdir: Path, overrides: Mapping[str, Any]) -> Path:
    """Writes the cloud assembly with some settings overridden. Returns outdir, which holds TEMPLATE and the assets.

    Raises SettingsError for wrong settings, and SynthesisFailed.
    """
    context = settings.read_context(ROOT / "cdk.json")
    context[settings.CONTEXT_KEY] = {**context[settings.CONTEXT_KEY], **overrides}
    return synthesize_context(outdir, context)


def synthesize_context(outdir: Path, context: Mapping[str, Any]) -> Path:
    """The same from a whole context. A context that the CDK CLI passes by environment overrides it."""
    app = cdk.App(outdir=str(outdir), context=dict(context), analytics_reporting=False)
    given = settings.load(app.node.try_get_context(settings.CONTEXT_KEY))
    try:
        HangdumpStack(app, STACK_NAME, settings=given)
        check(app)
        app.synth()
    except RuntimeError as error:
        # jsii raises nothing else.
        raise SynthesisFailed(str(error)) from error
    return outdir


def check(app: cdk.App) -> None:
    """Runs cdk-nag in the synthesis, which fails on a finding that is not acknowledged."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True), NIST80053R5Checks(app, verbose=True))
