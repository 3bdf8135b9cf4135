"""Imports every handler of an unpacked bundle, and prints what its code answers, as JSON. Knows nothing of the tests.

Usage: python -I -S bundle_answers.py <bundle> <site-packages with boto3> <folder of logs> <folder of dumps>
"""

import importlib
import importlib.machinery
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

# What Lambda's Python brings beside the standard library.
_OF_THE_RUNTIME = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"}


class OfTheRuntime:
    """Finds these, and nothing else, outside of the bundle."""

    def __init__(self, site_packages: str) -> None:
        self._path = [site_packages]

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> Any:
        return importlib.machinery.PathFinder.find_spec(name, self._path) if name in _OF_THE_RUNTIME else None


class Context:
    """A handler's second argument."""

    function_name, function_version, memory_limit_in_mb = "read_document_result", "$LATEST", 128
    invoked_function_arn, aws_request_id = "arn:aws:lambda:eu-central-1:123456789012:function:x", "1"


def main() -> None:
    """Of the handlers by name, and where it ran."""
    bundle, site_packages, logs, dumps = sys.argv[1:]
    sys.path.insert(0, bundle)
    sys.meta_path.append(OfTheRuntime(site_packages))
    os.environ.update(AWS_DEFAULT_REGION="eu-central-1", POWERTOOLS_TRACE_DISABLED="1")
    handlers = sorted(path.stem for path in (Path(bundle) / "lambdas" / "handlers").glob("[!_]*.py"))
    for name in handlers:
        importlib.import_module(f"lambdas.handlers.{name}")
    where = {"machine": platform.machine(), "python": platform.python_version(), "handlers": handlers}
    print(json.dumps({**where, "answers": answers(Path(logs), Path(dumps))}))


def answers(logs: Path, dumps: Path) -> dict[str, Any]:
    """What triage says of the logs, what opening finds in the dumps, and what a handler makes of an event."""
    triage = importlib.import_module("lambdas.triage").triage
    handler = importlib.import_module("lambdas.handlers.read_document_result").handler
    return {
        "triage": {path.name: triage(path.read_text()).as_json() for path in sorted(logs.iterdir())},
        "dumps": {path.name: _opened(path.read_bytes()) for path in sorted(dumps.iterdir())},
        "document": handler(_CHECKED, Context()),
    }


def _opened(dump: bytes) -> Any:
    reader = importlib.import_module("lambdas.vmcore.bytes_by_range").BytesByRange
    opened = importlib.import_module("lambdas.vmcore.open_dump").open_dump(
        reader(lambda offset, size: dump[offset : offset + size], len(dump))
    )
    return vars(opened)


_CHECKED = {
    "document": "check_kdump",
    "invocation": {
        "InstanceId": "i-0123456789abcdef0",
        "CommandId": "c",
        "Status": "Success",
        "StatusDetails": "Success",
        "StandardOutputContent": json.dumps(
            {
                "ready": True,
                "findings": [],
                "kernel": "6.1.0-28-cloud-arm64",
                "configId": "0123456789abcdef",
            }
        ),
    },
}

if __name__ == "__main__":
    main()
