"""`python -m analysis open INCIDENT_ID`: downloads the incident's vmcore with your credentials, and opens it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.fetch_vmcore import download, find_vmcore, require_incident_id, stack_outputs
from analysis.open_dump import open_dump
from analysis.options import add_debuginfo_options, sources_of


def main(arguments: Sequence[str]) -> int:
    """Does not return if it opens a dump: drgn or crash replaces the process. Raises AnalysisError."""
    options = _parser().parse_args(arguments)
    require_incident_id(options.incident_id)
    stored = find_vmcore(options.incident_id, stack_outputs(options.stack, _client), _client)
    directory = options.directory or Path.cwd() / options.incident_id
    vmcore = download(stored, directory, _client, say=_say)
    return open_dump(vmcore, sources_of(options), is_crash=options.crash)


def _client(service: str) -> Any:
    import boto3  # noqa: PLC0415

    return boto3.client(service)  # type: ignore[call-overload]


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis open", description=__doc__)
    parser.add_argument("incident_id", help="as the notification says it")
    parser.add_argument("--stack", default="Hangdump", help="the stack's name, when it is not Hangdump")
    parser.add_argument("--directory", type=Path, help="where to keep the vmcore; default ./INCIDENT_ID")
    parser.add_argument("--crash", action="store_true", help="open crash instead of drgn")
    add_debuginfo_options(parser)
    return parser
