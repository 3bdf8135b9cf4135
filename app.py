"""The CDK app: `python app.py` writes cdk.out, `cdk deploy` runs the same file. Owns nothing; see infra/stack.py."""

import os
import sys
from pathlib import Path

from infra.read_settings import SettingsError
from infra.synth import synthesize

if __name__ == "__main__":
    try:
        synthesize(Path(os.environ.get("CDK_OUTDIR", "cdk.out")), {})
    except (SettingsError, RuntimeError) as error:
        # Wrong settings, a finding of a check, or dependencies that could not be fetched: the message says it all.
        sys.exit(str(error))
