"""Hostile parameter values by the ten thousand: none of them ever executes anything, by either way of interpolation.

Three walls, each tested by itself: the pattern that the API checks, the same pattern in the script, and the quotes of
the prelude, into which agents that know no ENV_VAR put the text. In the real guest: tests/guest/test_injection.py.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.aws import ssm_document
from ssm_documents.assemble import DOCUMENTS, assemble, prelude_of, script_of
from tests.ssm_documents.hostile_values import CANARY
from tests.ssm_documents.tried_values import AGENTS, SEED, Tried, tried_values

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    return {each: assemble(each) for each in DOCUMENTS}


@pytest.fixture(scope="module")
def tried(documents: dict[str, dict[str, Any]]) -> list[Tried]:
    """Every parameter of every document with its hostile values."""
    return tried_values(documents)


@pytest.fixture(scope="module")
def scripts(documents: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("scripts")
    for verb_phrase, content in documents.items():
        (folder / verb_phrase).write_text(script_of(content), encoding="utf-8")
    return {each: folder / each for each in documents}


def _no_canary(folder: Path) -> None:
    assert not list(folder.rglob(CANARY)), "a value was executed"


def test_every_value_that_the_api_lets_through_is_harmless_within_the_quotes(tried: list[Tried]) -> None:
    for parameter in tried:
        for value in parameter.accepted:
            assert not set(value) & set("\"$`\\{}'!;|<>\0"), (parameter.name, value)


def test_the_script_refuses_every_value_against_its_pattern_and_executes_none(
    tried: list[Tried], scripts: dict[str, Path], tmp_path: Path
) -> None:
    """By ENV_VAR, and with the API's check left out altogether: the second wall alone must hold."""
    for number, parameter in enumerate(tried):
        values = parameter.in_environment
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "values").write_bytes(b"".join(each.encode() + b"\0" for each in values))
        harness = (
            f"source {scripts[parameter.verb_phrase]}; set +e\n"
            "while IFS= read -r -d '' value; do\n"
            f'  export SSM_{parameter.name}="$value"\n'
            f'  if is_allowed {parameter.name} "$SSM_{parameter.name}"; then echo yes; else echo no; fi\n'
            "done <values\n"
        )
        done = subprocess.run(["bash", "-c", harness], cwd=folder, capture_output=True, text=True, check=False)
        answers = done.stdout.split()
        expected = ["yes" if parameter.allows(each) else "no" for each in values]
        assert answers == expected, (parameter.name, done.stderr[-500:])
        _no_canary(folder)


def test_text_put_into_the_prelude_arrives_as_it_is_and_executes_nothing(
    tried: list[Tried], documents: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    """As agents before ENV_VAR do it: each value that passes the API becomes text of the script."""
    for number, parameter in enumerate(tried):
        content = documents[parameter.verb_phrase]
        defaults = {name: each["default"] for name, each in content["parameters"].items()}
        lines = ["set -euo pipefail"]
        for value in parameter.accepted:
            values = {**defaults, parameter.name: value}
            script = ssm_document.prepare(content, values, AGENTS["text"]).script
            # Up to the end of the prelude.
            prelude = prelude_of(script)
            lines.append(f"(\n{prelude}\nprintf '%s\\0' \"$SSM_{parameter.name}\"\n)")
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "script").write_text("\n".join(lines), encoding="utf-8", newline="")
        done = subprocess.run(["bash", "script"], cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0, (parameter.name, done.stderr[-500:])
        assert done.stdout == b"".join(each.encode() + b"\0" for each in parameter.accepted), parameter.name
        _no_canary(folder)


# What a document may call that only looks; everything else is a stand-in that notes its name and fails.
_REAL = (
    *(
        "awk",
        "basename",
        "cat",
        "cp",
        "cut",
        "date",
        "dirname",
        "env",
        "find",
        "flock",
        "grep",
        "head",
        "mkdir",
        "mktemp",
    ),
    *(
        "mv",
        "od",
        "readlink",
        "rm",
        "rmdir",
        "sed",
        "seq",
        "sort",
        "stat",
        "tail",
        "tee",
        "touch",
        "tr",
        "uname",
        "wc",
        "xargs",
    ),
)
_NOTED = (
    *(
        "apt-get",
        "bash",
        "blkid",
        "blockdev",
        "chroot",
        "curl",
        "dd",
        "df",
        "dnf",
        "dpkg",
        "dpkg-query",
        "findmnt",
        "grubby",
    ),
    *(
        "id",
        "kdump-config",
        "kdumpctl",
        "kexec",
        "losetup",
        "ls",
        "lsblk",
        "mkfs.ext4",
        "mkfs.xfs",
        "mount",
        "nc",
        "openssl",
    ),
    *("partprobe", "perl", "poweroff", "python3", "reboot", "rpm", "sfdisk", "sh", "shutdown", "sleep", "systemctl"),
    *("sysctl", "systemd-escape", "systemd-detect-virt", "timeout", "udevadm", "umount", "unshare", "wget", "zypper"),
)
# No document has a use for these: an injected command would call them.
_NEVER = {"bash", "sh", "perl", "nc", "wget", "poweroff", "shutdown", "reboot"}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PATH with nothing in it that could change this computer."""
    folder = tmp_path_factory.mktemp("commands")
    for name in _REAL:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    stand_in = '#!/bin/bash\nprintf "%s\\n" "${0##*/}" >>"$CALLED"\nexit 1\n'
    for name in _NOTED:
        (folder / name).write_text(stand_in)
        (folder / name).chmod(0o755)
    return folder


def test_a_value_that_no_pattern_stopped_would_be_seen(documents: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """The other tests here would fail if a pattern let this through."""
    content = documents["upload_vmcore"]
    values = {name: each["default"] for name, each in content["parameters"].items()}
    script = ssm_document.prepare(content, values | {"action": f"$(>{CANARY})"}, AGENTS["text"]).script
    (tmp_path / "script").write_text(prelude_of(script), encoding="utf-8")
    subprocess.run(["bash", "script"], cwd=tmp_path, check=False)
    assert (tmp_path / CANARY).exists()


def _sets(tried: list[Tried], verb_phrase: str) -> Iterator[dict[str, str]]:
    """All parameters of a document hostile at once, as far as the API lets them."""
    of_document = [each for each in tried if each.verb_phrase == verb_phrase and each.accepted]
    for turn in range(6):
        yield {each.name: each.accepted[turn * 7 % len(each.accepted)] for each in of_document}


@pytest.mark.parametrize("way", AGENTS)
@pytest.mark.parametrize("verb_phrase", [each for each in DOCUMENTS if each != "probe_instance"])
def test_a_whole_document_runs_no_command_but_its_own(
    tried: list[Tried],
    documents: dict[str, dict[str, Any]],
    commands: Path,
    tmp_path: Path,
    verb_phrase: str,
    way: str,
) -> None:
    content = documents[verb_phrase]
    for number, hostile in enumerate(_sets(tried, verb_phrase)):
        host = tmp_path / str(number)
        (host / "run" / "lock").mkdir(parents=True)
        values = {name: each["default"] for name, each in content["parameters"].items()} | hostile
        step = ssm_document.prepare(content, values, AGENTS[way])
        (host / "script").write_text(step.script, encoding="utf-8", newline="")
        (host / "script").chmod(0o755)
        environment = {
            "PATH": str(commands),
            "HOST_ROOT": str(host),
            "CALLED": str(host / "called"),
            **step.environment,
        }
        done = subprocess.run(
            ["/bin/sh", "-c", "./script"],
            cwd=host,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        json.loads(done.stdout)
        called = set((host / "called").read_text().split()) if (host / "called").exists() else set()
        assert called & _NEVER == set(), (hostile, called)
        _no_canary(host)


def test_more_than_ten_thousand_values_were_tried(tried: list[Tried]) -> None:
    """The figures of the run go to results/injection.json."""
    values = sum(len(each.values) for each in tried)
    accepted = sum(len(each.accepted) for each in tried)
    figures = {
        "seed": SEED,
        "documents": len({each.verb_phrase for each in tried}),
        "parameters": len(tried),
        "values": values,
        "accepted_by_the_api": accepted,
    }
    results = ROOT / "results"
    results.mkdir(exist_ok=True)
    (results / "injection.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    assert values >= 10_000
    assert accepted >= 300, "too few get through to say anything about the prelude"
