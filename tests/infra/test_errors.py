"""Every error that a user can meet has a class, and its line in docs/errors.md."""

import re

from infra.synth import ROOT
from infra.tools import errors as tool
from lambdas.runtime import errors
from lambdas.runtime.errors import DOCUMENT_ERRORS
from tests.infra.template import MACHINES, Template

# What a Fail state or a document ends with that is no error of ours: verdicts, and names of AWS.
VERDICTS = {"captured", "incomplete", "no-panic", "panic-no-dump", "unsupported", "refused", "rescued", "failed"}


def test_the_page_of_errors_is_up_to_date() -> None:
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run `make docs` and commit docs/errors.md"


def test_every_error_says_what_to_do_next() -> None:
    assert [name for name, each in tool.known().items() if not each.next_step.endswith(".")] == []


def test_every_error_that_a_machine_says_or_catches_has_a_class(template: Template) -> None:
    named: set[str] = set()
    for machine in MACHINES:
        for state in template.machine(machine).states.values():
            parameters = state.get("Parameters", {})
            named |= {state.get("Error", ""), parameters.get("Error", "")} if isinstance(parameters, dict) else set()
            named |= {error for catch in state.get("Catch", []) for error in catch["ErrorEquals"]}
    ours = {name for name in named if name and "." not in name} - VERDICTS
    assert {"ProvisioningInProgress", "VmcoreNotFound"} <= ours
    assert ours - set(tool.known()) == set()


def test_every_error_that_a_document_prints_is_one_that_its_reader_knows() -> None:
    printed: dict[str, str] = {}
    for path in sorted((ROOT / "ssm_documents").rglob("*.sh")):
        for name in re.findall(r"\bfail ([A-Z][A-Za-z]+)\b", path.read_text(encoding="utf-8")):
            printed[name] = path.name
    assert "UploadRefused" in printed
    assert {name: place for name, place in printed.items() if name not in DOCUMENT_ERRORS} == {}


def test_no_place_but_the_classes_spells_an_error(template: Template) -> None:
    names = "|".join(tool.known())
    spelt = {
        path.relative_to(ROOT).as_posix(): found
        for path in (ROOT / "infra").rglob("*.py")
        if (found := re.findall(rf"[\"']({names})[\"']", path.read_text(encoding="utf-8")))
    }
    assert spelt == {}
    assert errors.HangdumpError.__subclasses__()
