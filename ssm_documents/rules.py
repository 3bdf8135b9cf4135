"""The structural rules for every assembled SSM document; the assembly refuses a document that breaks one.

No validator for SSM documents exists; the sources are the SSM user guide and the agent's behaviour.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_DOCUMENT_BYTES = 64 * 1024  # SSM quota, which includes the run-time parameters
PARAMETER_RESERVE_BYTES = 3 * 1024  # for the parameters: twice the longest, a presigned URL of ~1.5 KB
_PARAMETER_KEYS = {"type", "description", "default", "allowedPattern", "interpolationType"}
INTERPOLATION = "parameter %s '%s' \"{{ %s }}\""
# Within double quotes these end the quotes or expand; a brace starts an interpolation of SSM itself.
_HARMFUL = "\"$`\\{}'!;|<>\n\r\0"


class BrokenDocumentError(Exception):
    """A document that must not be deployed; the message names every broken rule."""


def broken_rules(content: Mapping[str, Any]) -> list[str]:
    """Describes every broken rule; an empty list for a valid document."""
    return [
        *_broken_by_shape(content),
        *(rule for name, parameter in content.get("parameters", {}).items() for rule in _broken_by(name, parameter)),
        *_broken_by_script(content),
        *_broken_by_size(content),
    ]


def _broken_by_shape(content: Mapping[str, Any]) -> Iterator[str]:
    if content.get("schemaVersion") != "2.2":
        yield "schemaVersion is not '2.2'"
    if not content.get("description"):
        yield "has no description"
    steps = content.get("mainSteps", [])
    if len(steps) != 1 or steps[0].get("action") != "aws:runShellScript":
        yield "has not exactly one aws:runShellScript step"
    elif steps[0].get("precondition") != {"StringEquals": ["platformType", "Linux"]}:
        yield "is not limited to Linux"
    elif not re.fullmatch(r"[1-9][0-9]{1,5}", str(steps[0]["inputs"].get("timeoutSeconds"))):
        yield "has no bounded timeoutSeconds"


def _broken_by(name: str, parameter: Mapping[str, Any]) -> Iterator[str]:
    if set(parameter) != _PARAMETER_KEYS:
        yield f"{name} has {sorted(parameter)} instead of {sorted(_PARAMETER_KEYS)}"
        return
    if parameter["type"] != "String" or parameter["interpolationType"] != "ENV_VAR":
        yield f"{name} is not a String with interpolationType ENV_VAR"
    yield from _broken_by_pattern(name, parameter["allowedPattern"], parameter["default"])


def _broken_by_pattern(name: str, pattern: str, default: str) -> Iterator[str]:
    """Java (API), RE2 (agent) and bash (script) read the pattern: only syntax that means the same to all is allowed."""
    if not (pattern.startswith("^") and pattern.endswith("$")) or "|" in _outside_groups(pattern):
        yield f"{name}: pattern is not anchored"
    if "\\" in pattern or "(?" in pattern or "'" in pattern or "{{" in pattern:
        yield f"{name}: pattern has an escape, a (?…) group, a quote or {{{{: engines differ, use [.] and plain groups"
        return
    if re.fullmatch(pattern[1:-1], default) is None:
        yield f"{name}: default {default!r} does not match {pattern}"
    # Any harmful character that one place of the pattern accepts: try it instead of each character of the default,
    # and after it; and in any bracket expression.
    for harmful in _HARMFUL:
        probes = [default[:i] + harmful + default[i + 1 :] for i in range(len(default) + 1)]
        if any(re.fullmatch(pattern[1:-1], probe) for probe in probes):
            yield f"{name}: pattern accepts {harmful!r}"
    for bracket in re.findall(r"\[[^]]+\]", pattern):
        if bracket.startswith("[^") or any(re.fullmatch(bracket, harmful) for harmful in _HARMFUL):
            yield f"{name}: {bracket} accepts a character that a shell or SSM would interpret"
    if re.search(r"(^|[^[.])\.($|[^]])", re.sub(r"\[[^]]+\]", "", pattern)):
        yield f"{name}: a bare dot accepts anything"


def _outside_groups(pattern: str) -> str:
    depth, outside = 0, []
    for character in pattern:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            outside.append(character)
    return "".join(outside)


def _broken_by_script(content: Mapping[str, Any]) -> Iterator[str]:
    lines = "\n".join(content["mainSteps"][0]["inputs"]["runCommand"]).split("\n")
    if lines[0] != "#!/bin/bash":
        yield "the script does not start with #!/bin/bash, so the agent's sh would run it"
    if not any(line == "set -euo pipefail" for line in lines[:4]):
        yield "the script does not begin with set -euo pipefail"
    preludes = {
        INTERPOLATION % (name, parameter.get("allowedPattern"), name)
        for name, parameter in content.get("parameters", {}).items()
    }
    for line in lines:
        if "{{" in line and line not in preludes:
            yield f"{{{{ outside the prelude: {line.strip()!r}"
    if missing := preludes - set(lines):
        yield f"the prelude lacks {sorted(missing)}"
    used = set(re.findall(r"\bSSM_([A-Za-z_]+)", "\n".join(lines)))
    if unknown := used - set(content.get("parameters", {})) - {"", "_"}:
        yield f"the script reads parameters that do not exist: {sorted(unknown)}"


def _broken_by_size(content: Mapping[str, Any]) -> Iterator[str]:
    size = len(json.dumps(content).encode())
    if size > MAX_DOCUMENT_BYTES - PARAMETER_RESERVE_BYTES:
        yield f"{size} bytes leave no room for parameters within SSM's {MAX_DOCUMENT_BYTES}"
