"""The CDK app: `python app.py` writes cdk.out, `cdk deploy` runs the same file. Owns nothing; see infra/stack.py."""

import os
import sys
from pathlib import Path

from analysis.command_line import run


def main() -> None:
    """Write the cloud assembly to where the CDK CLI wants it."""
    from infra.synth import synthesize  # noqa: PLC0415 - so that a missing module is a line, not a traceback

    synthesize(Path(os.environ.get("CDK_OUTDIR", "cdk.out")), {})


if __name__ == "__main__":
    sys.exit(run(main))
