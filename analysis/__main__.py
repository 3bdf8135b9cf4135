"""`python -m analysis VMCORE` analyses a dump; `… open INCIDENT_ID` opens one; `… compare VMCORE` asks crash, too."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis import compare_with_crash
from analysis.analyze import analyze, load_symbols
from analysis.debuginfo import Sources, check_match, find_debuginfo
from analysis.errors import AnalysisError
from analysis.options import add_debuginfo_options, sources_of
from analysis.vmcore import identify, open_vmcore


def main(arguments: Sequence[str]) -> int:
    """The exit status: 1 with a sentence on standard error when there is no analysis."""
    if arguments[:1] == ["open"]:
        from analysis import open_incident  # noqa: PLC0415 - it alone wants boto3

        return open_incident.main(arguments[1:])
    if arguments[:1] == ["compare"]:
        return compare_with_crash.main(arguments[1:])
    options = _parser().parse_args(arguments)
    try:
        text = json.dumps(analyze_file(options.vmcore, sources_of(options)), indent=1)
    except AnalysisError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if options.json is None:
        print(text)
    else:
        options.json.write_text(text + "\n")
        print(options.json, file=sys.stderr)
    return 0


def analyze_file(vmcore: Path, sources: Sources) -> dict[str, object]:
    """analysis.json as an object. The match is checked before any symbol is loaded. Raises AnalysisError."""
    program = open_vmcore(vmcore)
    identity = identify(program, vmcore)
    debuginfo = find_debuginfo(identity, sources)
    is_matched = check_match(identity, debuginfo.kernel)
    problems = load_symbols(program, debuginfo)
    if not is_matched:
        problems.append(f"the dump names no build id; the symbols match {identity.release} by its name alone")
    return analyze(program, identity, problems, is_matched=is_matched)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    parser.add_argument("vmcore", type=Path, help="as downloaded; flattened dumps need no conversion")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the analysis here instead of printing it")
    add_debuginfo_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
