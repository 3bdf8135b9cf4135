"""`python -m analysis VMCORE` analyses a dump; `… open INCIDENT_ID` opens one; `… compare VMCORE` asks crash, too."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.command_line import run


def main(arguments: Sequence[str]) -> int:
    """The exit status. Raises AnalysisError when there is no analysis."""
    # Imported here: so that a missing drgn or boto3 is a line, not a traceback.
    if arguments[:1] == ["open"]:
        from analysis import open_incident  # noqa: PLC0415

        return open_incident.main(arguments[1:])
    if arguments[:1] == ["compare"]:
        from analysis import compare_with_crash  # noqa: PLC0415

        return compare_with_crash.main(arguments[1:])
    from analysis.analyze import analyze_file  # noqa: PLC0415
    from analysis.options import add_debuginfo_options, sources_of  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Analyse a vmcore with the symbols of exactly its kernel.",
        epilog="Also: `python -m analysis open INCIDENT_ID` downloads a vmcore and opens it; "
        "`python -m analysis compare VMCORE` holds its stacks against those of crash. Each has a --help.",
    )
    parser.add_argument("vmcore", type=Path, help="as downloaded; flattened dumps need no conversion")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the analysis here instead of printing it")
    add_debuginfo_options(parser)
    options = parser.parse_args(arguments)
    text = json.dumps(analyze_file(options.vmcore, sources_of(options)), indent=1)
    if options.json is None:
        print(text)
    else:
        options.json.write_text(text + "\n")
        print(options.json, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
