"""Hostile parameter values by the ten thousand in the real guest: the documents' real text, the agent's interpolation
in both ways, `sh -c <file>`, and the kernel's own account of which programs ran.

A value that is executed shows twice: it leaves a file, and a program that it starts is in the process accounting.
"""

import base64
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.aws import ssm_document
from lab.guest import QemuGuest
from ssm_documents.assemble import DOCUMENTS, assemble, prelude_of
from tests.ssm_documents.hostile_values import CANARY
from tests.ssm_documents.tried_values import AGENTS, Tried, tried_values

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1500)]
ROOT = Path(__file__).resolve().parents[2]
# Of each parameter so many refused values run the whole document, each in a file and a shell of its own.
WHOLE_RUNS_A_PARAMETER = 2
# acct(2) on x86_64; perl-base is in every Debian, the package acct is not.
ACCOUNTING = "/var/tmp/process-accounting"
# Where everything runs. Nobody removes it: what a value leaves is found.
PLACE = "/var/tmp/hostile"
START = f"""#!/bin/bash
set -eu
: >{ACCOUNTING}
perl -e 'my $file = "{ACCOUNTING}"; syscall(163, $file) == 0 or die "no process accounting: $!"'
"""
# struct acct_v3: flag (1 = forked without exec), version, …, the name at byte 48.
STOP = f"""#!/bin/bash
set -eu
perl -e 'syscall(163, 0) == 0 or die $!;
  open my $file, "<", "{ACCOUNTING}" or die $!;
  while (read $file, my $record, 64) {{
    my ($flag, $version) = unpack "CC", $record;
    ($version & 15) == 3 or die "accounting version $version";
    my $name = unpack "Z16", substr $record, 48;
    $count{{($flag & 1) ? "forked" : $name}}++;
  }}
  print "$_\\t$count{{$_}}\\n" for sort keys %count;'
echo ---
find / -xdev -name '*{CANARY}*' -not -path '/proc/*'
"""
# Every value through the check of the script that the document is, by ENV_VAR, without the API's check before it.
CHECK_EACH = """
source ./document; set +e
while IFS= read -r -d '' value; do
  export SSM_{name}="$value"
  if is_allowed {name} "$SSM_{name}"; then printf y; else printf n; fi
done <values
echo
"""
# Each in a file of its own, run as the agent runs it; what it answers is counted by the name of its error.
RUN_WHOLE = """
while IFS= read -r -d '' value; do
  export SSM_{name}="$value"
  sh -c ./document 2>/dev/null
  echo
done <refused
"""
# Only what the API lets through ever becomes text.
SUBSTITUTED = "sh -c ./substituted | base64 -w0"
# What the lab itself starts to run a script, and what the documents call until they have refused a value.
HARNESS = {
    "setsid",
    "sh",
    "_script.sh",
    "document",
    "substituted",
    "bash",
    "base64",
    "mkdir",
    "mktemp",
    "cat",
    "chmod",
    "rm",
    "perl",
}
# Debian's own, which may come at any time.
BACKGROUND = {"systemd", "(sd-executor)", "systemd-tmpfile", "systemctl", "cron", "sleep", "logger", "agetty"}


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    return {each: assemble(each) for each in DOCUMENTS}


@pytest.fixture(scope="module")
def tried(documents: dict[str, dict[str, Any]]) -> list[Tried]:
    return tried_values(documents)


class Accounted:
    """Runs scripts between two readings of the accounts: `programs` and `canaries` are what came of them."""

    def __init__(self, guest: QemuGuest) -> None:
        self._guest = guest
        self.programs: Counter[str] = Counter()
        self.canaries: list[str] = []

    def __enter__(self) -> "Accounted":
        self._run(START)
        return self

    def __exit__(self, *_: object) -> None:
        programs, canaries = self._run(STOP).split("---\n")
        self.canaries = canaries.split()
        for line in programs.splitlines():
            name, number = line.split("\t")
            self.programs[name] += int(number)

    def run(self, body: str, **files: bytes) -> str:
        """In a directory with these files, which stays; the first line makes it bash, the agent's `sh -c` runs it."""
        placed = [
            f"base64 -d >{name} <<'END'\n{base64.b64encode(content).decode()}\nEND\nchmod 700 {name}"
            for name, content in files.items()
        ]
        return self._run("\n".join(["#!/bin/bash", f"mkdir -p {PLACE}; cd {PLACE}", *placed, body]))

    def _run(self, script: str) -> str:
        done = self._guest.run(script, environment={}, timeout_seconds=600)
        assert done.exit_code == 0, done.stderr[-2000:]
        return done.stdout


def by_environment(content: Mapping[str, Any]) -> bytes:
    """The document's script as an agent that knows ENV_VAR writes it: nothing of a value is in it."""
    values = {name: each["default"] for name, each in content["parameters"].items()}
    step = ssm_document.prepare(content, values, AGENTS["ENV_VAR"])
    assert set(step.environment) == {f"SSM_{name}" for name in values}
    exports = "".join(f"export {name}='{value}'\n" for name, value in step.environment.items() if "'" not in value)
    first, rest = step.script.split("\n", 1)
    return f"{first}\n{_unless_set(exports)}{rest}".encode()


def _unless_set(exports: str) -> str:
    """The defaults of the other parameters, which the agent would have exported as well."""
    return "".join(
        f"[[ -v {line.split('=')[0].removeprefix('export ')} ]] || {line}\n" for line in exports.splitlines()
    )


def by_text(content: Mapping[str, Any], name: str, values: list[str]) -> bytes:
    """For each value the prelude into which an older agent put its text, and what arrived; in one file."""
    defaults = {each: declared["default"] for each, declared in content["parameters"].items()}
    lines = ["#!/bin/bash", "set -euo pipefail"]
    for value in values:
        script = ssm_document.prepare(content, {**defaults, name: value}, AGENTS["text"]).script
        prelude = prelude_of(script)
        lines.append(f"(\n{prelude}\nprintf '%s\\0' \"$SSM_{name}\"\n)")
    return "\n".join(lines).encode()


def nul_separated(values: list[str]) -> bytes:
    return b"".join(each.encode() + b"\0" for each in values)


@pytest.fixture
def figures() -> Iterator[dict[str, Any]]:
    """Written when the test that fills them has passed its last line."""
    figures: dict[str, Any] = {}
    yield figures
    if figures:
        results = ROOT / "results"
        results.mkdir(exist_ok=True)
        (results / "injection-guest.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def test_a_value_that_is_executed_would_be_seen_twice(
    armed_guest: QemuGuest, documents: dict[str, dict[str, Any]]
) -> None:
    """What no pattern stopped, put into the prelude: the file is found, and the program is in the accounts."""
    planted = by_text(documents["upload_vmcore"], "action", [f'"; : >{CANARY}; touch {CANARY}-2; echo "'])
    with Accounted(armed_guest) as accounted:
        accounted.run("sh -c ./document >/dev/null", document=planted)
    assert sorted(accounted.canaries) == [f"{PLACE}/{CANARY}", f"{PLACE}/{CANARY}-2"]
    assert accounted.programs["touch"] == 1
    assert set(accounted.programs) - HARNESS - BACKGROUND - {"forked"} == {"touch"}


def test_no_hostile_value_runs_any_command_in_the_guest(
    armed_guest: QemuGuest,
    documents: dict[str, dict[str, Any]],
    tried: list[Tried],
    figures: dict[str, Any],
) -> None:
    checked = whole = substituted = 0
    began = time.monotonic()
    with Accounted(armed_guest) as accounted:
        for parameter in tried:
            content, values = documents[parameter.verb_phrase], parameter.in_environment
            document = by_environment(content)
            refused = [each for each in values if not parameter.allows(each)][-WHOLE_RUNS_A_PARAMETER:]
            answers, *reports, arrived = accounted.run(
                f"({CHECK_EACH})\n({RUN_WHOLE})\n{SUBSTITUTED}".replace("{name}", parameter.name),
                document=document,
                values=nul_separated(values),
                refused=nul_separated(refused),
                substituted=by_text(content, parameter.name, parameter.accepted),
            ).split("\n")
            assert answers == "".join("y" if parameter.allows(each) else "n" for each in values), parameter.name
            checked += len(answers)

            assert [json.loads(each)["error"] for each in reports] == ["InvalidParameter"] * len(refused)
            whole += len(reports)

            assert base64.b64decode(arrived) == nul_separated(parameter.accepted), parameter.name
            substituted += len(parameter.accepted)

    assert accounted.canaries == []
    assert set(accounted.programs) - HARNESS - BACKGROUND - {"forked"} == set()
    # The accounts were kept.
    assert accounted.programs["document"] >= whole
    assert checked >= 10_000
    assert substituted >= 300
    figures |= {
        "parameters": len(tried),
        "checked_by_environment": checked,
        "whole_documents_run": whole,
        "substituted_as_text": substituted,
        "processes": dict(accounted.programs),
        "canaries": len(accounted.canaries),
        "seconds": round(time.monotonic() - began),
    }
