"""Assembles an SSM document from document.yaml, its script files, and a prelude made of its parameters.

Pure: reads files beside itself, knows no AWS account. What a document must look like is in rules.py.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ssm_documents.rules import INTERPOLATION, BrokenDocumentError, broken_rules
from ssm_documents.unused_functions import without_unused_functions

HERE = Path(__file__).parent
DOCUMENTS: tuple[str, ...] = (
    "measure_dump",
    "prepare_dump_volume",
    "park_dump_volume",
    "configure_kdump",
    "check_kdump",
    "unconfigure_kdump",
    "upload_vmcore",
    "mount_dump_copy",
    "analyze_vmcore",
    "probe_instance",
    "hang_instance",
)
# %%INCLUDE main.sh%% is beside document.yaml, %%INCLUDE shell/report.sh%% and families/*.sh are in ssm_documents/
INCLUDE = re.compile(r"^%%INCLUDE (?P<pattern>[a-z0-9_/*]+\.sh)%%$")
# A line that is nothing but a comment (or the shebang of an included file), and is not "# shellcheck disable=SC2016".
# SC2317 and SC2329, of functions that only family() calls, are for a family's file by itself.
COMMENT = re.compile(r"^\s*#(?! shellcheck (?!disable=SC2317))")
# "# shellcheck disable=SC2016 # why": shellcheck does not read why.
WHY = re.compile(r"(?<=^# shellcheck disable=)(\S+) #.*")
# The parameters' patterns and values. What an agent that knows environment variables has set stays.
_PARAMETER = """\
declare -A PARAMETER_PATTERNS
parameter() {
PARAMETER_PATTERNS[$1]="$2"
set -- "SSM_$1" "$3"
[ "${!1+x}" ] || export "$1=$2"
}""".splitlines()
# cat <<'UNIT' · python - <<'PYTHON' || log …
HERE_DOCUMENT = re.compile(r"(?<!<)<<(?P<quote>['\"]?)(?P<end>[A-Z]+)(?P=quote)(?= |$)")


def document_name(verb_phrase: str) -> str:
    """The name under which the document is deployed."""
    return f"Hangdump-{verb_phrase}"


def assemble(verb_phrase: str, *, timeout_seconds: int | None = None) -> dict[str, Any]:
    """The content of one document (schema 2.2); raises BrokenDocumentError when it would not be safe to deploy.

    `timeout_seconds` replaces how long the agent lets the script run.
    """
    if verb_phrase not in DOCUMENTS:
        raise KeyError(f"{verb_phrase} is no document; there are {', '.join(DOCUMENTS)}")
    folder = HERE / verb_phrase
    content: dict[str, Any] = yaml.safe_load((folder / "document.yaml").read_text())
    step = content["mainSteps"][0]
    # One element: a line break within it takes two bytes of JSON, a break between two elements four.
    step["inputs"]["runCommand"] = ["\n".join(without_unused_functions(list(_script_lines(folder, content))))]
    if timeout_seconds is not None:
        step["inputs"]["timeoutSeconds"] = str(timeout_seconds)
    if broken := broken_rules(content):
        raise BrokenDocumentError(f"{document_name(verb_phrase)}: " + "; ".join(broken))
    return content


def script_of(content: Mapping[str, Any]) -> str:
    """The script as the agent writes it to a file."""
    return "\n".join(content["mainSteps"][0]["inputs"]["runCommand"]) + "\n"


def prelude_of(script: str) -> str:
    """What sets the parameters, up to the first file of the script."""
    return script[: script.index("\n# shell/") + 1]


def _script_lines(folder: Path, content: Mapping[str, Any]) -> Iterator[str]:
    yield "#!/bin/bash"
    yield f"# Assembled from ssm_documents/{folder.name}/document.yaml; edit the files there."
    yield "set -euo pipefail"
    yield from _prelude(content.get("parameters", {}))
    for line in content["mainSteps"][0]["inputs"]["runCommand"]:
        yield from _included(folder, line)


def _prelude(parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Agents before 3.3.2746.0 put a parameter's text between the quotes; its pattern keeps out what would end them."""
    if not parameters:
        return
    yield from _PARAMETER
    for name, parameter in parameters.items():
        yield INTERPOLATION % (name, parameter["allowedPattern"], name)


def _included(folder: Path, line: str) -> Iterator[str]:
    match = INCLUDE.match(line)
    if match is None:
        raise BrokenDocumentError(f"{folder.name}: runCommand holds only %%INCLUDE …%% lines, not {line!r}")
    base = HERE if "/" in match["pattern"] else folder
    paths = sorted(base.glob(match["pattern"]))
    if not paths:
        raise BrokenDocumentError(f"{folder.name}: {line} finds no file")
    for path in paths:
        yield f"# {path.relative_to(HERE).with_suffix('')}"
        yield from _code(path.read_text())


def _code(text: str) -> Iterator[str]:
    """Removes comments, empty lines and indentation, a fifth of the bytes, because SSM takes only 64 KB. Keeps
    here-documents, and comments for shellcheck."""
    end: str | None = None
    for line in text.splitlines():
        if end is None and (not line or COMMENT.match(line)):
            continue
        is_script = end is None
        if is_script and (opened := HERE_DOCUMENT.search(line)):
            end = opened["end"]
        elif line == end:
            end = None
        yield WHY.sub(r"\1", line.lstrip(" ")) if is_script else line
