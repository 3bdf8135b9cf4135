"""What the linters say of the synthesized template: cdk-nag, cfn-lint, statelint."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from statelint.linter import Linter

from infra.synth import TEMPLATE, check
from tests.infra.template import Machine

# W3005: the library writes DependsOn beside a reference that implies it.
NOT_OURS = ["W3005"]
# Fields of the language that are younger than statelint.
UNKNOWN = {"Assign", "ItemReader", "Label", "ProcessorConfig", "ToleratedFailureCount"}


@pytest.mark.slow
def test_cfn_lint_finds_nothing(assembly: Path) -> None:
    cfn_lint = Path(sys.executable).with_name("cfn-lint")
    command = [str(cfn_lint), "--ignore-checks", *NOT_OURS, "--", str(assembly / TEMPLATE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr


def test_statelint_finds_nothing(machine: Machine) -> None:
    """Of all but variables and distributed maps, which it does not know: cfn-lint looks at those."""
    assert Linter.validate(_with_arns(_without_variables(_without_unknown(machine.definition)))) == []


def test_a_finding_of_cdk_nag_fails_the_synthesis(tmp_path: Path) -> None:
    """The synthesis of the stack itself is what the fixture `assembly` does; this shows that it can fail."""
    app = cdk.App(outdir=str(tmp_path))
    careless = cdk.Stack(app, "Careless")
    sqs.Queue(careless, "Queue")
    s3.Bucket(careless, "Bucket")
    check(app)
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report = (tmp_path / "validation-report.json").read_text()
    assert "AwsSolutions-SQS4" in report
    # The other pack looks as well: a bucket is none of SQS's business.
    assert "NIST.800.53.R5-S3BucketVersioningEnabled" in report


def _without_unknown(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_unknown(each) for key, each in value.items() if key not in UNKNOWN}
    return [_without_unknown(each) for each in value] if isinstance(value, list) else value


def _with_arns(value: object) -> object:
    """The definition with something that looks like an ARN wherever the deployment puts one."""
    if isinstance(value, dict):
        return {key: _with_arns(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_arns(each) for each in value]
    if isinstance(value, str) and value.startswith("${"):
        return "arn:aws:lambda:eu-west-1:123456789012:function:f"
    return value


def _without_variables(value: Any) -> Any:
    """`$.polls` instead of `$polls`."""
    return json.loads(re.sub(r"(?<!\$)\$([a-zA-Z])", r"$.\1", json.dumps(value)))
