"""Every assembled document keeps the rules, and the rules catch what they are there for."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ssm_documents.assemble import DOCUMENTS, HERE, assemble, document_name, script_of
from ssm_documents.rules import broken_rules

SCHEMA = json.loads((Path(__file__).parent / "document.schema.json").read_text())
# What the other parts send: renaming a parameter breaks them.
PARAMETERS = {
    "measure_dump": "dumpLevel",
    "prepare_dump_volume": "volumeId fileSystem mountPoint",
    "park_dump_volume": "action mountPoint volumeId waitSeconds",
    "configure_kdump": (
        "mountPoint crashkernel coreCollector dumpLevel finalAction fileSystem reboot guestWatchdog unknown_nmi_panic "
        "panic_on_oops hardlockup_panic softlockup_panic hung_task_panic panic_on_rcu_stall panic_on_io_nmi "
        "panic_on_unrecovered_nmi panic_on_stackoverflow panic_on_warn kernel_panic"
    ),
    "check_kdump": "mountPoint volumeId finalAction exitWhenNotReady",
    "unconfigure_kdump": "mountPoint volumeId",
    "upload_vmcore": "action mountPoint since manifestUrl vmcorePath sizeBytes modifiedEpoch parallelism limitMibs",
    "mount_dump_copy": "volumeId mountPoint",
    "analyze_vmcore": "manifestUrl timeoutSeconds",
    "probe_instance": "",
    "hang_instance": "instanceId token hang",
}
HOSTILE = [
    "; reboot",
    "$(reboot)",
    "`reboot`",
    '"; reboot; "',
    "'; reboot; '",
    "a\nreboot",
    "x\n",
    "\\",
    "{{ ssm:secret }}",
    "{{x}}",
    "${IFS}",
    "a|b",
    "a&b;",
    "<(reboot)",
    "!reboot",
    "\0",
    "*",
    "é",
    "",
]
ALL_PARAMETERS = [
    (document, name, parameter)
    for document in DOCUMENTS
    for name, parameter in assemble(document).get("parameters", {}).items()
]


@pytest.mark.parametrize("verb_phrase", DOCUMENTS)
def test_document_fits_the_schema(verb_phrase: str) -> None:
    jsonschema.validate(assemble(verb_phrase), SCHEMA)


@pytest.mark.parametrize("verb_phrase", DOCUMENTS)
def test_document_has_exactly_the_agreed_parameters(verb_phrase: str) -> None:
    assert set(assemble(verb_phrase).get("parameters", {})) == set(PARAMETERS[verb_phrase].split())


@pytest.mark.parametrize("verb_phrase", DOCUMENTS)
def test_assembled_script_passes_shellcheck(verb_phrase: str, tmp_path: Path) -> None:
    script = tmp_path / f"{verb_phrase}.sh"
    content = assemble(verb_phrase)
    first, rest = script_of(content).split("\n", 1)
    # It does not see that `parameter` sets them.
    values = "".join(f"export SSM_{name}=\n" for name in content.get("parameters", {}))
    script.write_text(f"{first}\n{values}{rest}")
    shellcheck = Path(sys.executable).parent / "shellcheck"
    completed = subprocess.run([shellcheck, script], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout


@pytest.mark.parametrize("path", sorted(HERE.rglob("*.sh")), ids=lambda path: str(path.relative_to(HERE)))
def test_script_file_is_short_and_says_what_it_does(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) < 150
    assert lines[0] == "#!/bin/bash"
    assert re.match("# [A-Z][a-z]+ ", lines[1])


@pytest.mark.parametrize("path", sorted(HERE.rglob("*.sh")), ids=lambda path: str(path.relative_to(HERE)))
def test_every_script_file_is_part_of_a_document(path: Path) -> None:
    marker = f"\n# {path.relative_to(HERE).with_suffix('')}\n"
    assert any(marker in script_of(assemble(document)) for document in DOCUMENTS)


@pytest.mark.parametrize(("document", "name", "parameter"), ALL_PARAMETERS, ids=lambda value: str(value)[:40])
def test_no_parameter_takes_a_hostile_value(document: str, name: str, parameter: dict[str, str]) -> None:
    pattern, default = parameter["allowedPattern"], parameter["default"]
    values = [*HOSTILE, *(default + hostile for hostile in HOSTILE if hostile), *(h + default for h in HOSTILE if h)]
    assert not [value for value in values if re.fullmatch(pattern.removeprefix("^").removesuffix("$"), value)]


@pytest.mark.parametrize(
    ("name", "value", "is_allowed"),
    [
        ("crashkernel", "256M", True),
        ("crashkernel", "160M@16M", True),
        ("crashkernel", "1G-4G:192M,4G-64G:256M,64G-:512M", True),
        ("crashkernel", "512M,high", True),
        ("crashkernel", "256", False),
        ("crashkernel", "0M", False),
        ("crashkernel", "256M init=/bin/sh", False),
        ("coreCollector", "makedumpfile -c", True),
        ("coreCollector", "scp", False),
        ("dumpLevel", "32", False),
        ("mountPoint", "/mnt/dump-volume", True),
        ("mountPoint", "/", False),
        ("mountPoint", "/var/../etc", False),
        ("mountPoint", "var/crash", False),
    ],
)
def test_configure_takes_the_values_it_documents(name: str, value: str, *, is_allowed: bool) -> None:
    pattern = assemble("configure_kdump")["parameters"][name]["allowedPattern"]
    assert (re.search(pattern, value) is not None) is is_allowed


@pytest.mark.parametrize(
    ("name", "value", "is_allowed"),
    [
        ("manifestUrl", "https://b.s3.eu-west-1.amazonaws.com/manifests/a/1.tsv?X-Amz-Signature=ab%2F&x=1", True),
        ("manifestUrl", "http://10.0.2.100/bucket/manifests/20261123T040000Z-i-0123456789abcdef0/1.tsv?a=b", True),
        ("manifestUrl", "file:///etc/shadow", False),
        ("vmcorePath", "/var/crash/202611230400/dump.202611230400", True),
        ("vmcorePath", "/var/crash/127.0.0.1-2026-11-23-04:00:00/vmcore", True),
        ("vmcorePath", "/var/crash/../../etc/passwd", False),
        ("vmcorePath", "/var/crash/.hidden", False),
        ("since", "1795400000", True),
        ("since", "now", False),
    ],
)
def test_upload_takes_the_values_that_the_workflow_sends(name: str, value: str, *, is_allowed: bool) -> None:
    pattern = assemble("upload_vmcore")["parameters"][name]["allowedPattern"]
    assert (re.search(pattern, value) is not None) is is_allowed


def test_older_agent_gets_parameters_by_text_and_newer_ones_by_environment() -> None:
    lines = script_of(assemble("check_kdump")).splitlines()
    pattern = assemble("check_kdump")["parameters"]["volumeId"]["allowedPattern"]
    assert f"parameter volumeId '{pattern}' \"{{{{ volumeId }}}}\"" in lines


def test_script_is_one_element_because_breaks_between_elements_take_more_bytes() -> None:
    (script,) = assemble("check_kdump")["mainSteps"][0]["inputs"]["runCommand"]
    assert "\n# check_kdump/main\n" in script


def test_timeout_can_be_set_at_deploy_time() -> None:
    assert assemble("probe_instance", timeout_seconds=45)["mainSteps"][0]["inputs"]["timeoutSeconds"] == "45"


def test_documents_are_named_after_the_stack() -> None:
    assert document_name("check_kdump") == "Hangdump-check_kdump"


def test_unknown_document_is_named() -> None:
    with pytest.raises(KeyError, match="reboot_world"):
        assemble("reboot_world")


def _pattern(value: str) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["parameters"]["volumeId"].update(allowedPattern=value)


def _line(value: str) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["mainSteps"][0]["inputs"]["runCommand"].append(value)


def _without(text: str) -> Callable[[dict[str, Any]], None]:
    def spoil(content: dict[str, Any]) -> None:
        lines = content["mainSteps"][0]["inputs"]["runCommand"]
        lines[0] = lines[0].replace(text, "")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (_pattern("none"), "not anchored"),
        (_pattern("^none|vol$"), "not anchored"),
        (_pattern("^(?!x)none$"), r"\(\?…\) group"),
        (_pattern(r"^none\d*$"), "an escape"),
        (_pattern("^none.*$"), "bare dot"),
        (_pattern("^none[^a]*$"), "a shell or SSM would interpret"),
        (_pattern("^none[ $]*$"), "a shell or SSM would interpret"),
        (_pattern("^vol-[0-9a-f]+$"), "default 'none' does not match"),
        (lambda content: content["parameters"]["volumeId"].update(type="StringList"), "not a String"),
        (lambda content: content["parameters"]["volumeId"].pop("interpolationType"), "volumeId has"),
        (_line("echo {{ volumeId }}"), "outside the prelude"),
        (_line('echo "$SSM_typo"'), "parameters that do not exist"),
        (_line("x" * 65536), "leave no room"),
        (lambda content: content["mainSteps"][0]["inputs"]["runCommand"].insert(0, ""), "#!/bin/bash"),
        (_without("set -euo pipefail\n"), "set -euo"),
        (lambda content: content["mainSteps"][0]["inputs"].pop("timeoutSeconds"), "bounded timeoutSeconds"),
        (lambda content: content["mainSteps"][0].pop("precondition"), "limited to Linux"),
        (lambda content: content["mainSteps"].append({}), "exactly one"),
        (lambda content: content.update(schemaVersion="1.2"), "schemaVersion"),
    ],
)
def test_rules_catch(spoil: Callable[[dict[str, Any]], None], rule: str) -> None:
    content = copy.deepcopy(assemble("check_kdump"))
    spoil(content)
    assert re.search(rule, "\n".join(broken_rules(content)))


def test_comments_stay_in_the_files_and_here_documents_stay_whole() -> None:
    """A document has 64 KB; what a script writes into a file of the host is no comment."""
    script = script_of(assemble("configure_kdump"))
    body = script.split("# shell/report\n")[1]
    comments = [line for line in body.splitlines() if re.match(r"\s*# (?!shellcheck|[a-z0-9_]+/[a-z0-9_/]+$)", line)]
    assert "# Written by Hangdump." in comments
    assert all(re.match(r"# (Written by Hangdump|In the crash kernel)", line) for line in comments), comments
    assert "# shellcheck disable=" in body


def test_a_program_in_a_here_document_keeps_its_indentation() -> None:
    """Whatever follows the here-document's name in its line."""
    script = script_of(assemble("upload_vmcore"))
    program = script.split("<<'PYTHON'")[1].partition("\n")[2].partition("\nPYTHON\n")[0]
    assert compile(program, "work_quickly", "exec")
