"""Reads an SSM document as Run Command and the agent do: parameters checked, script and environment made. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The first agent that knows interpolationType: ENV_VAR; older ones substitute text.
ENV_VAR_AGENT = (3, 3, 2746, 0)
DEFAULT_EXECUTION_SECONDS = 3600
MAXIMUM_DOCUMENT_BYTES = 64 * 1024
_STEP_ACTION = "aws:runShellScript"


class InvalidParameters(Exception):
    """A parameter is unknown, missing or against its pattern; the message is the API's."""


class UnsupportedDocument(Exception):
    """The document uses something that this emulation does not know."""


@dataclass(frozen=True)
class Step:
    """The one script that a document runs, ready for one agent."""

    name: str
    script: str
    environment: Mapping[str, str]
    timeout_seconds: float


def check_document(content: Mapping[str, Any]) -> None:
    """Refuse what the emulation would get wrong: it runs exactly one shell step of schema 2.2."""
    steps = content.get("mainSteps") or []
    if content.get("schemaVersion") != "2.2":
        raise UnsupportedDocument(f"schemaVersion {content.get('schemaVersion')!r} is not 2.2")
    if len(steps) != 1 or steps[0].get("action") != _STEP_ACTION:
        raise UnsupportedDocument(f"mainSteps must be one {_STEP_ACTION}")


def resolve(content: Mapping[str, Any], given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Value of every parameter: the one given or the default, after the checks of SendCommand."""
    declared: Mapping[str, Mapping[str, Any]] = content.get("parameters") or {}
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise InvalidParameters(f"Parameters {unknown} are not defined in the document")
    values = {}
    for name, declaration in declared.items():
        if name in given:
            value = _single(name, given[name])
        elif "default" in declaration:
            value = str(declaration["default"])
        else:
            raise InvalidParameters(f"Parameter {name} is required and was not given")
        _check_value(name, declaration, value)
        values[name] = value
    return values


def _single(name: str, value: Sequence[str]) -> str:
    # The API's parameters are lists of strings; a String takes a list of one.
    if isinstance(value, str) or len(value) != 1 or not isinstance(value[0], str):
        raise InvalidParameters(f"Parameter {name} takes exactly one string, not {value!r}")
    return value[0]


def _check_value(name: str, declaration: Mapping[str, Any], value: str) -> None:
    allowed = declaration.get("allowedValues")
    if allowed is not None and value not in allowed:
        raise InvalidParameters(f"Parameter {name} with value {value!r} is not one of {allowed}")
    pattern = declaration.get("allowedPattern")
    # `$` of RE2 and Java is the very end here; Python's would let a trailing newline through.
    if pattern is not None and not re.search(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), value):
        raise InvalidParameters(f"Parameter {name} with value {value!r} does not match {pattern}")


def prepare(content: Mapping[str, Any], values: Mapping[str, str], agent_version: str) -> Step:
    """What the agent executes: `{{ }}` replaced, or SSM_<name> in the environment where the document asks for it."""
    step = content["mainSteps"][0]
    declared: Mapping[str, Mapping[str, Any]] = content.get("parameters") or {}
    knows_env_var = tuple(int(part) for part in agent_version.split(".")) >= ENV_VAR_AGENT
    environment, textual = {}, {}
    for name, value in values.items():
        if knows_env_var and declared[name].get("interpolationType") == "ENV_VAR":
            environment[f"SSM_{name}"] = value
        else:
            textual[name] = value
    inputs = step["inputs"]
    script = "\n".join(_substitute(line, textual) for line in inputs["runCommand"])
    timeout = _substitute(str(inputs.get("timeoutSeconds", DEFAULT_EXECUTION_SECONDS)), values)
    return Step(step["name"], script, environment, float(timeout))


def _substitute(text: str, values: Mapping[str, str]) -> str:
    # {{ volumeId }}
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: values.get(match[1], match[0]), text)


def size_bytes(content_text: str, values: Mapping[str, str]) -> int:
    """Document and run-time parameters together, which the limit of 64 KB is about."""
    return len(content_text.encode()) + sum(len(k) + len(v) for k, v in values.items())
