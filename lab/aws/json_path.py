"""JSONPath of Step Functions: a path that can name only one thing gives that thing. Owns no interpreter."""

import sys
from typing import Any

from jsonpath_ng.ext.parser import parse
from moto.stepfunctions.parser.asl.utils import json_path

from lab.aws.patches import Patches

# Anything of $..a, $.a[*], $.a[1:2], $.a[?(@.b==1)], $.a[0,1] may name several things.
_INDEFINITE = ("..", "*", ":", "?", ",")


def is_definite(path: str) -> bool:
    """`$.Volumes[0].State` is, `$.Volumes[*].State` is not."""
    return not any(mark in path for mark in _INDEFINITE)


def extract(path: str, data: Any) -> Any:
    matches = [match.value for match in parse(path).find(data)]
    if not is_definite(path):
        return matches
    if not matches:
        raise json_path.NoSuchJsonPathError(json_path=path, data=data)
    return matches[0]


def install(patches: Patches) -> None:
    """Real: `$.Volumes[0].State` is "available". moto: ["available"], which no Choice matches.

    The function is imported by name in several modules of the interpreter; all of them get ours.
    """
    original = json_path.extract_json
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions") and vars(module).get("extract_json") is original:
            patches.replace(module, "extract_json", lambda _original: extract)
